from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_optimizer.optimizer import get_supported_optimizers, load_optimizer
from srkit_training.more_optimisers import REFUSED
from timm.optim import Lion
from torch import nn, optim

from srkit import testing
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.interfaces import Optimiser


def optimiser(type: str, **options: Any) -> Optimiser:
    made: Optimiser = build(Registry.discover().get("optimisers", type).factory, options)
    return made


@pytest.mark.parametrize(
    ("written", "kind", "options"),
    [
        ({"type": "adam"}, optim.Adam, {}),
        (
            {"type": "adam", "betas": (0.5, 0.9), "eps": 1e-6},
            optim.Adam,
            {"betas": (0.5, 0.9), "eps": 1e-6},
        ),
        ({"type": "adamw", "weight_decay": 0.02}, optim.AdamW, {"weight_decay": 0.02}),
        ({"type": "sgd"}, optim.SGD, {}),
        ({"type": "sgd", "momentum": 0.9}, optim.SGD, {"momentum": 0.9}),
        ({"type": "lion", "betas": (0.9, 0.98)}, Lion, {"betas": (0.9, 0.98)}),
        (
            {"type": "adan", "betas": (0.9, 0.8, 0.7)},
            load_optimizer("adan"),
            {"betas": (0.9, 0.8, 0.7), "weight_decouple": True},
        ),
        ({"type": "soap"}, load_optimizer("soap"), {}),
        ({"type": "prodigy", "d_coef": 2.0}, load_optimizer("prodigy"), {"d_coef": 2.0}),
        ({"type": "schedule_free"}, load_optimizer("schedulefreeadamw"), {}),
        (
            {"type": "pytorch_optimizer", "name": "came", "options": {"clip_threshold": 2.0}},
            load_optimizer("came"),
            {"clip_threshold": 2.0},
        ),
    ],
)
def test_optimiser_by_name(written: dict[str, Any], kind: Any, options: dict[str, Any]) -> None:
    """Options that are omitted have the defaults of the library, but for the weight decay."""
    parameters = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(3))]
    if written["type"] != "pytorch_optimizer":
        options = {"weight_decay": 0.0, **options}
    made = optimiser(lr=0.03, **written)(parameters)
    assert type(made) is kind
    expected = kind(parameters, **{"lr": 0.03, **options})
    assert made.state_dict() == expected.state_dict()
    assert made.param_groups[0]["params"] == parameters


def test_lion_follows_the_paper() -> None:
    """Chen et al. 2023, algorithm 2, written out in numpy."""
    rng = np.random.default_rng(0)
    weights, moment = rng.normal(size=20), np.zeros(20)
    parameter = nn.Parameter(torch.from_numpy(weights.copy()))
    made = optimiser(type="lion", lr=0.01, betas=(0.8, 0.95), weight_decay=0.1)([parameter])
    for _ in range(4):
        gradient = rng.normal(size=20)
        update = np.sign(0.8 * moment + 0.2 * gradient)
        weights = weights - 0.01 * (update + 0.1 * weights)
        moment = 0.95 * moment + 0.05 * gradient
        parameter.grad = torch.from_numpy(gradient)
        made.step()
        np.testing.assert_allclose(parameter.detach().numpy(), weights, rtol=1e-12)


def test_muon_trains_biases_by_adamw() -> None:
    network = nn.Conv2d(3, 4, 3)
    made = optimiser(type="muon", lr=0.5, adamw_lr=0.25)(list(network.parameters()))
    named = [(group["use_muon"], group["lr"], group["params"]) for group in made.param_groups]
    assert named == [(True, 0.5, [network.weight]), (False, 0.25, [network.bias])]


def test_muon_steps_by_orthogonal_matrices() -> None:
    """Jordan et al. 2024: the five iterations bring singular values to between 0.7 and 1.2."""
    weight = nn.Parameter(torch.zeros(6, 2, 3, 3))
    made = optimiser(type="muon", lr=1.0)([weight])
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    made.step()
    values = torch.linalg.svdvals(weight.detach().flatten(1).double())
    values = values / max(1, 6 / 18) ** 0.5
    assert values.min() > 0.6
    assert values.max() < 1.25


#: One of each family; all the others were tried, too, before the refused ones were listed.
NAMES = ("adopt", "came", "kron", "lamb", "mars", "radam", "schedulefreesgd", "shampoo", "tiger")


@pytest.mark.parametrize("name", NAMES)
def test_others_of_the_package_resume_exactly(name: str) -> None:
    testing.check_optimiser(optimiser(type="pytorch_optimizer", name=name))


def test_refused_names_exist() -> None:
    assert set(REFUSED) <= set(get_supported_optimizers())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "lbfgs"}, "'lbfgs' cannot be used: it needs a closure"),
        ({"name": "camo"}, "unknown optimiser 'camo' of pytorch_optimizer; did you mean 'came'?"),
        (
            {"name": "came", "options": {"fixed_deca": True}},
            "unknown option 'fixed_deca' of came; did you mean 'fixed_decay'?",
        ),
    ],
)
def test_wrong_names_and_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        optimiser(type="pytorch_optimizer", **options)
    assert str(caught.value) == message
