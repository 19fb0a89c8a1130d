from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from timm.optim import Lion
from torch import nn, optim
from torch.optim import lr_scheduler

from srkit.errors import TrainingError
from srkit.recipe.parts import OptimiserSpec, ScheduleSpec
from srkit.training.optimisers import learning_rate_factor, make_optimiser

TOTAL = 40


def schedule(**written: Any) -> ScheduleSpec:
    return ScheduleSpec.model_validate(written)


def optimiser_spec(**written: Any) -> OptimiserSpec:
    return OptimiserSpec.model_validate(written)


#: Schedules as a recipe writes them, and torch's own; an epoch is 6 steps.
SCHEDULES: list[tuple[dict[str, Any], Callable[[optim.Optimizer], Any]]] = [
    ({"type": "constant"}, lambda o: lr_scheduler.ConstantLR(o, 1)),
    (
        {"type": "constant", "warmup": 8},
        lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 8, total_iters=7),
    ),
    ({"type": "cosine"}, lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL)),
    (
        {"type": "cosine", "minimum": 0.1},
        lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1),
    ),
    (
        {"type": "steps", "every": 7, "gamma": 0.3},
        lambda o: lr_scheduler.StepLR(o, 7, gamma=0.3),
    ),
    (
        {"type": "steps", "every": "1.5 epochs"},
        lambda o: lr_scheduler.StepLR(o, 9, gamma=0.5),
    ),
    (
        {"type": "steps", "milestones": [5, "3 epochs", 30], "gamma": 0.3},
        lambda o: lr_scheduler.MultiStepLR(o, [5, 18, 30], gamma=0.3),
    ),
    (
        {"type": "steps", "milestones": [4, 20], "warmup": 10},
        lambda o: lr_scheduler.ChainedScheduler(
            [
                lr_scheduler.LinearLR(o, start_factor=1 / 10, total_iters=9),
                lr_scheduler.MultiStepLR(o, [4, 20], gamma=0.5),
            ]
        ),
    ),
]


@pytest.mark.parametrize(("written", "make"), SCHEDULES)
def test_learning_rate_agrees_with_torch(
    written: dict[str, Any], make: Callable[[optim.Optimizer], Any]
) -> None:
    optimiser = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, expected = make(optimiser), []
    for _ in range(TOTAL):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    spec = schedule(**written)
    found = [learning_rate_factor(spec, step, TOTAL, 6.0) for step in range(TOTAL)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_cosine_starts_after_the_warm_up() -> None:
    """Loshchilov & Hutter 2017, equation 5, over what the linear rise leaves."""
    spec = schedule(type="cosine", warmup=10, minimum=0.2)
    found = [learning_rate_factor(spec, step, TOTAL, 6.0) for step in range(TOTAL + 1)]
    rise = np.arange(1, 11) / 10
    fall = 0.2 + 0.4 * (1 + np.cos(np.pi * np.arange(31) / 30))
    np.testing.assert_allclose(found, [*rise, *fall], rtol=1e-12)


def test_cosine_stays_at_its_end() -> None:
    """The rate does not rise again after the last step; a longer run has another schedule."""
    spec = schedule(type="cosine", minimum=0.2)
    assert learning_rate_factor(spec, TOTAL + 7, TOTAL, 6.0) == pytest.approx(0.2)


def test_warm_up_longer_than_the_run() -> None:
    spec = schedule(type="cosine", warmup=10)
    assert [learning_rate_factor(spec, step, 3, 6.0) for step in range(3)] == [0.1, 0.2, 0.3]


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
    ],
)
def test_optimiser_by_name(written: dict[str, Any], kind: Any, options: dict[str, Any]) -> None:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))]
    spec = optimiser_spec(lr=0.03, **written)
    made = make_optimiser(spec, parameters)
    assert type(made) is kind
    expected = kind(parameters, **{"lr": 0.03, "weight_decay": 0.0, **options})
    assert made.state_dict() == expected.state_dict()
    assert made.param_groups[0]["params"] == parameters


def test_lion_follows_the_paper() -> None:
    """Chen et al. 2023, algorithm 2, written out in numpy."""
    rng = np.random.default_rng(0)
    weights, moment = rng.normal(size=20), np.zeros(20)
    parameter = nn.Parameter(torch.from_numpy(weights.copy()))
    spec = optimiser_spec(type="lion", lr=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    optimiser = make_optimiser(spec, [parameter])
    for _ in range(4):
        gradient = rng.normal(size=20)
        update = np.sign(0.8 * moment + 0.2 * gradient)
        weights = weights - 0.01 * (update + 0.1 * weights)
        moment = 0.95 * moment + 0.05 * gradient
        parameter.grad = torch.from_numpy(gradient)
        optimiser.step()
        np.testing.assert_allclose(parameter.detach().numpy(), weights, rtol=1e-12)


def test_frozen_parameters_are_excluded() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    network[0].requires_grad_(False)
    optimiser = make_optimiser(optimiser_spec(), network.parameters())
    assert [p.shape for p in optimiser.param_groups[0]["params"]] == [(3, 2), (3,)]


def test_everything_frozen() -> None:
    network = nn.Linear(2, 2).requires_grad_(False)
    message = "nothing is left to train: every parameter is frozen; shorten start.freeze"
    with pytest.raises(TrainingError, match=f"^{message}$"):
        make_optimiser(optimiser_spec(), network.parameters())
