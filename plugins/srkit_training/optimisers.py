"""Optimisers of torch and timm."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field
from torch import optim

from srkit.interfaces import Optimiser

#: A finite number above 0, such as a learning rate.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: A finite number from 0, such as a weight decay.
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
#: A number in [0, 1), such as the decay of a moving average.
Decay = Annotated[float, Field(ge=0, lt=1)]


def adam(
    *,
    lr: Positive = 1e-4,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: Share = 0.0,
) -> Optimiser:
    """Adam (Kingma & Ba 2015).

    Parameters
    ----------
    lr
        Learning rate before the schedule.
    betas
        Decays of the averages of the gradient and of its square.
    eps
        Added to the denominator.
    weight_decay
        Factor of the weights that is added to their gradient.
    """
    return partial(optim.Adam, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def adamw(
    *,
    lr: Positive = 1e-4,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: Share = 0.0,
) -> Optimiser:
    """AdamW (Loshchilov & Hutter 2019), whose weight decay does not enter the gradient.

    Parameters
    ----------
    lr
        Learning rate before the schedule.
    betas
        Decays of the averages of the gradient and of its square.
    eps
        Added to the denominator.
    weight_decay
        Share of the weights, times the learning rate, that a step subtracts.
    """
    return partial(optim.AdamW, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def sgd(
    *,
    lr: Positive = 1e-4,
    momentum: Decay = 0.0,
    nesterov: bool = False,
    weight_decay: Share = 0.0,
) -> Optimiser:
    """Stochastic gradient descent, with momentum (Sutskever et al. 2013).

    Parameters
    ----------
    lr
        Learning rate before the schedule.
    momentum
        Decay of the sum of gradients.
    nesterov
        Whether to look ahead by the momentum.
    weight_decay
        Factor of the weights that is added to their gradient.

    Raises
    ------
    ValueError
        If `nesterov` is set without a momentum.
    """
    if nesterov and not momentum:
        raise ValueError("nesterov requires a momentum above 0")
    return partial(
        optim.SGD, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
    )


def lion(
    *,
    lr: Positive = 1e-4,
    betas: tuple[Decay, Decay] = (0.9, 0.99),
    weight_decay: Share = 0.0,
) -> Optimiser:
    """Lion (Chen et al. 2023), which steps by the sign of an averaged gradient.

    Parameters
    ----------
    lr
        Learning rate before the schedule; a third to a tenth of that of Adam.
    betas
        Decays of the average that gives the step, and of that which is kept.
    weight_decay
        Share of the weights, times the learning rate, that a step subtracts.
    """
    from timm.optim import Lion  # slow to import

    return partial(Lion, lr=lr, betas=betas, weight_decay=weight_decay)
