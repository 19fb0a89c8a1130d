"""Optimisers by name, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import nn, optim

from srkit.errors import TrainingError
from srkit.recipe.parts import OptimiserSpec, ScheduleSpec


def make_optimiser(spec: OptimiserSpec, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """Build an optimiser; options that the recipe omits keep torch's defaults.

    Raises
    ------
    TrainingError
        If all parameters are frozen.
    """
    options: dict[str, Any] = {"lr": spec.lr, "weight_decay": spec.weight_decay}
    named = {"betas": spec.betas, "eps": spec.eps, "momentum": spec.momentum}
    options |= {name: value for name, value in named.items() if value is not None}
    trainable = [p for p in parameters if p.requires_grad]
    if not trainable:
        raise TrainingError(
            "nothing is left to train: every parameter is frozen; shorten start.freeze"
        )
    kinds: dict[str, Any] = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
    if spec.type == "lion":
        from timm.optim import Lion  # slow to import

        kinds["lion"] = Lion
    optimiser: optim.Optimizer = kinds[spec.type](trainable, **options)
    return optimiser


def learning_rate_factor(
    spec: ScheduleSpec, step: int, total: int, steps_per_epoch: float
) -> float:
    """Return the factor of the learning rate at a step.

    Parameters
    ----------
    spec
        The schedule. Cosine annealing without restarts is that of Loshchilov & Hutter (2017).
    step
        Steps done so far.
    total
        Steps of the whole run.
    steps_per_epoch
        Length of an epoch in the schedule.
    """
    warm = min(1.0, (step + 1) / spec.warmup) if spec.warmup else 1.0
    if spec.type == "cosine":
        done = min(1.0, max(0, step - spec.warmup) / max(1, total - spec.warmup))
        return warm * (spec.minimum + (1 - spec.minimum) * (1 + math.cos(math.pi * done)) / 2)
    if spec.type == "steps" and spec.every is not None:
        return warm * spec.gamma ** (step // spec.every.in_steps(steps_per_epoch))
    if spec.type == "steps" and spec.milestones is not None:
        passed = [m for m in spec.milestones if m.in_steps(steps_per_epoch) <= step]
        return warm * spec.gamma ** len(passed)
    return warm
