from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.optim import lr_scheduler

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.interfaces import Schedule

TOTAL = 40


def schedule(type: str, **options: Any) -> Schedule:
    made: Schedule = build(Registry.discover().get("schedules", type).factory, options)
    return made


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
    ({"type": "linear"}, lambda o: lr_scheduler.LinearLR(o, 1, 0, TOTAL)),
    (
        {"type": "linear", "minimum": 0.2, "warmup": 5},
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.2, 1, 4), lr_scheduler.LinearLR(o, 1, 0.2, 35)], [5]
        ),
    ),
    (
        {"type": "cosine_restarts", "period": "0.5 epochs", "growth": 2, "minimum": 0.1},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2, 0.1),
    ),
    (
        {"type": "cosine_restarts", "period": 7},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7),
    ),
    (
        {"type": "one_cycle"},
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, TOTAL, cycle_momentum=False),
    ),
    (
        {"type": "one_cycle", "rise": 0.4, "start": 0.1, "minimum": 0.01},
        lambda o: lr_scheduler.OneCycleLR(
            o, 1.0, TOTAL, pct_start=0.4, div_factor=10, final_div_factor=10, cycle_momentum=False
        ),
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
    found = [spec(step, TOTAL, 6.0) for step in range(TOTAL)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_cosine_starts_after_the_warm_up() -> None:
    """Loshchilov & Hutter 2017, equation 5, over what the linear rise leaves."""
    spec = schedule(type="cosine", warmup=10, minimum=0.2)
    found = [spec(step, TOTAL, 6.0) for step in range(TOTAL + 1)]
    rise = np.arange(1, 11) / 10
    fall = 0.2 + 0.4 * (1 + np.cos(np.pi * np.arange(31) / 30))
    np.testing.assert_allclose(found, [*rise, *fall], rtol=1e-12)


def test_cosine_stays_at_its_end() -> None:
    """The rate does not rise again after the last step; a longer run has another schedule."""
    spec = schedule(type="cosine", minimum=0.2)
    assert spec(TOTAL + 7, TOTAL, 6.0) == pytest.approx(0.2)


def test_warm_up_longer_than_the_run() -> None:
    spec = schedule(type="cosine", warmup=10)
    assert [spec(step, 3, 6.0) for step in range(3)] == [0.1, 0.2, 0.3]


def test_restarts_that_decay() -> None:
    """Each peak is half of the one before, after a linear rise."""
    spec = schedule(type="cosine_restarts", period=4, growth=2, decay=0.5, warmup=2)
    found = [spec(step, TOTAL, 6.0) for step in range(2 + 4 + 8 + 1)]
    fall = [(1 + np.cos(np.pi * np.arange(length) / length)) / 2 for length in (4, 8)]
    np.testing.assert_allclose(found, [0.5, 1, *fall[0], *fall[1] / 2, 0.25], rtol=1e-12)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_one_cycle_of_few_steps(total: int) -> None:
    spec = schedule(type="one_cycle")
    assert all(0 < spec(step, total, 1.0) <= 1 for step in range(total + 2))


@pytest.mark.parametrize("written", [{}, {"every": 3, "milestones": [4]}])
def test_steps_need_one_rule(written: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"requires either 'every' or 'milestones'$"):
        schedule(type="steps", **written)
