"""Optimisers of the package pytorch_optimizer, of the extra ``srkit[optimisers]``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import NonNegativeInt, PositiveInt
from torch import nn
from torch.optim import Optimizer

from srkit.errors import nearest
from srkit.interfaces import Optimiser
from srkit.system import needs
from srkit_training.optimisers import Decay, Positive, Share

#: What other optimisers of the package need besides the gradient, or why they do not resume
#: exactly; in version 4.1.
REFUSED = {
    "adahessian": "it needs second derivatives",
    "adalomo": "it replaces the backward pass",
    "adammini": "it needs the names of the parameters",
    "adashift": "its state cannot be saved",
    "aggmo": "its state cannot be restored",
    "alig": "it needs a closure",
    "bsam": "it needs a closure",
    "demo": "it needs several processes",
    "distributedmuon": "it needs several processes",
    "emofact": "its state cannot be restored",
    "emolynx": "its state cannot be restored",
    "emonavi": "its state cannot be restored",
    "lbfgs": "it needs a closure",
    "lomo": "it replaces the backward pass",
    "madgrad": "its state cannot be restored",
    "magma": "it wraps another optimiser",
    "ranger21": "it has a schedule of its own",
    "scalableshampoo": "its state cannot be saved",
    "sophiah": "it needs second derivatives",
    "spam": "its state cannot be restored",
    "spectralsphere": "it trains matrices only",
    "stablespam": "its state cannot be restored",
}


def adan(
    *,
    lr: Positive = 1e-3,
    betas: tuple[Decay, Decay, Decay] = (0.98, 0.92, 0.99),
    weight_decay: Share = 0.0,
) -> Optimiser:
    """Adan (Xie et al. 2022), Adam with Nesterov's momentum.

    Parameters
    ----------
    lr
        Learning rate before the schedule.
    betas
        Decays of the averages of the gradient, of its change, and of the square of both.
    weight_decay
        Share of the weights, times the learning rate, that a step subtracts.
    """
    return _build("adan", lr=lr, betas=betas, weight_decay=weight_decay, weight_decouple=True)


def prodigy(
    *,
    lr: Positive = 1.0,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    d0: Positive = 1e-6,
    d_coef: Positive = 1.0,
    weight_decay: Share = 0.0,
    bias_correction: bool = False,
    safeguard_warmup: bool = False,
) -> Optimiser:
    """Prodigy (Mishchenko & Defazio 2024), Adam that estimates its learning rate.

    Parameters
    ----------
    lr
        Factor of the estimated learning rate, before the schedule; leave it at 1.
    betas
        Decays of the averages of the gradient and of its square.
    d0
        First estimate of the distance to the solution.
    d_coef
        Factor of the estimated distance.
    weight_decay
        Share of the weights, times the learning rate, that a step subtracts.
    bias_correction
        Whether to correct the averages of the first steps.
    safeguard_warmup
        Whether the estimate leaves out the factor of a warm-up.
    """
    return _build(
        "prodigy",
        lr=lr,
        betas=betas,
        d0=d0,
        d_coef=d_coef,
        weight_decay=weight_decay,
        bias_correction=bias_correction,
        safeguard_warmup=safeguard_warmup,
    )


def soap(
    *,
    lr: Positive = 3e-3,
    betas: tuple[Decay, Decay] = (0.95, 0.95),
    weight_decay: Share = 0.0,
    precondition_frequency: PositiveInt = 10,
    max_precondition_dim: PositiveInt = 10000,
) -> Optimiser:
    """SOAP (Vyas et al. 2024), Adam in the eigenbasis of Shampoo's preconditioner.

    The first step only sets the basis.

    Parameters
    ----------
    lr
        Learning rate before the schedule.
    betas
        Decays of the averages of the gradient and of its square.
    weight_decay
        Share of the weights, times the learning rate, that a step subtracts.
    precondition_frequency
        Steps between updates of the basis.
    max_precondition_dim
        Sides of weights that are longer have no basis.
    """
    return _build(
        "soap",
        lr=lr,
        betas=betas,
        weight_decay=weight_decay,
        precondition_frequency=precondition_frequency,
        max_precondition_dim=max_precondition_dim,
    )


def muon(
    *,
    lr: Positive = 2e-2,
    momentum: Decay = 0.95,
    weight_decay: Share = 0.0,
    ns_steps: PositiveInt = 5,
    adamw_lr: Positive = 3e-4,
    adamw_betas: tuple[Decay, Decay] = (0.9, 0.95),
    adamw_wd: Share = 0.0,
) -> Optimiser:
    """Muon (Jordan et al. 2024), whose steps are orthogonal matrices; AdamW for biases.

    Weights of convolutions are matrices with a row for each channel of the output. Parameters of
    one dimension are trained by AdamW.

    Parameters
    ----------
    lr
        Learning rate of the matrices before the schedule.
    momentum
        Decay of the average of gradients.
    weight_decay
        Share of the matrices, times the learning rate, that a step subtracts.
    ns_steps
        Iterations that orthogonalise a step.
    adamw_lr, adamw_betas, adamw_wd
        Learning rate, decays and weight decay of AdamW.
    """
    return _build(
        "muon",
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        ns_steps=ns_steps,
        adamw_lr=adamw_lr,
        adamw_betas=adamw_betas,
        adamw_wd=adamw_wd,
    )


def schedule_free(
    *,
    lr: Positive = 2.5e-3,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    weight_decay: Share = 0.0,
    warmup_steps: NonNegativeInt = 0,
) -> Optimiser:
    """Schedule-free AdamW (Defazio et al. 2024), which averages weights instead of a schedule.

    The averaged weights are validated and saved. Statistics of batch normalisation are those of
    the weights that are trained.

    Parameters
    ----------
    lr
        Learning rate; use the schedule ``constant``.
    betas
        Share of the average in the weights that are trained, and decay of the average of squared
        gradients.
    weight_decay
        Share of the weights, times the learning rate, that a step subtracts.
    warmup_steps
        Steps of linear increase of the learning rate.
    """
    return _build(
        "schedulefreeadamw",
        lr=lr,
        betas=betas,
        weight_decay=weight_decay,
        warmup_steps=warmup_steps,
    )


def pytorch_optimizer(
    *, name: str, lr: Positive | None = None, options: dict[str, Any] | None = None
) -> Optimiser:
    """Any other optimiser of the package pytorch_optimizer, by its name there.

    Parameters
    ----------
    name
        Name of the optimiser, such as ``ademamix``.
    lr
        Learning rate before the schedule; the optimiser's own by default.
    options
        Its other options, by their names in the package.
    """
    return _build(name, **({} if lr is None else {"lr": lr}), **(options or {}))


def _build(name: str, **options: Any) -> Optimiser:
    """Check the name and the options of an optimiser, and bind them to its class."""
    with needs("pytorch_optimizer", "optimisers"):
        from pytorch_optimizer.optimizer import get_supported_optimizers, load_optimizer
    if name in REFUSED:
        raise ValueError(f"'{name}' cannot be used: {REFUSED[name]}")
    known = sorted(set(get_supported_optimizers()) - set(REFUSED))
    if name not in known:
        raise ValueError(f"unknown optimiser '{name}' of pytorch_optimizer; {nearest(name, known)}")
    made: Callable[..., Optimizer] = load_optimizer(name)
    allowed = [key for key in inspect.signature(made).parameters if key not in ("params", "kwargs")]
    for key in options:
        if key not in allowed:
            raise ValueError(f"unknown option '{key}' of {name}; {nearest(key, allowed)}")
    return partial(_make, made, options)


def _make(
    made: Callable[..., Optimizer], options: Mapping[str, Any], parameters: Sequence[nn.Parameter]
) -> Optimizer:
    """Build an optimiser; one that orthogonalises matrices trains the other parameters by AdamW."""
    with_matrices = any("muon" in each.__name__.lower() for each in inspect.getmro(made))  # type: ignore[arg-type]
    if not with_matrices:
        return made(parameters, **options)
    groups = [
        {"params": [p for p in parameters if (p.ndim > 1) is matrices], "use_muon": matrices}
        for matrices in (True, False)
    ]
    return made([group for group in groups if group["params"]], **options)
