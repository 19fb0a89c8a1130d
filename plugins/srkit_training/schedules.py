"""Schedules of the learning rate, as pure functions of the step.

They equal those of torch, which keep a state instead; only `Cosine` begins after the warm-up.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from srkit.components import Duration

#: A factor of the learning rate that does not raise it.
Factor = Annotated[float, Field(ge=0, le=1)]


def warm(step: int, warmup: int) -> float:
    """Return the factor of a linear increase over some steps, of which the last has 1."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def half_cosine(done: float, start: float, end: float) -> float:
    """Return a value on half a wave of a cosine, of which a share is done."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


class Constant:
    """The same learning rate in all steps, after an optional warm-up.

    Parameters
    ----------
    warmup
        Steps of linear increase from 0.
    """

    def __init__(self, *, warmup: NonNegativeInt = 0) -> None:
        self.warmup = warmup

    def __call__(self, step: int, total: int, steps_per_epoch: float) -> float:
        """Return the factor at a step."""
        return warm(step, self.warmup)


class Steps:
    """A learning rate that is multiplied by a factor after some steps, as in most papers.

    Parameters
    ----------
    warmup
        Steps of linear increase from 0, in addition.
    every
        How often to multiply it.
    milestones
        When to multiply it, instead.
    gamma
        The factor.
    """

    def __init__(
        self,
        *,
        warmup: NonNegativeInt = 0,
        every: Duration | None = None,
        milestones: list[Duration] | None = None,
        gamma: Annotated[float, Field(gt=0, le=1)] = 0.5,
    ) -> None:
        if (every is None) == (milestones is None):
            raise ValueError("a schedule of type 'steps' requires either 'every' or 'milestones'")
        self.warmup, self.every, self.milestones, self.gamma = warmup, every, milestones, gamma

    def __call__(self, step: int, total: int, steps_per_epoch: float) -> float:
        """Return the factor at a step."""
        if self.every is not None:
            passed = step // self.every.in_steps(steps_per_epoch)
        else:
            passed = sum(m.in_steps(steps_per_epoch) <= step for m in self.milestones or ())
        return warm(step, self.warmup) * self.gamma**passed


class Linear:
    """A learning rate that decreases linearly until the end, after an optional warm-up.

    Parameters
    ----------
    warmup
        Steps of linear increase from 0.
    minimum
        Last factor.
    """

    def __init__(self, *, warmup: NonNegativeInt = 0, minimum: Factor = 0.0) -> None:
        self.warmup, self.minimum = warmup, minimum

    def __call__(self, step: int, total: int, steps_per_epoch: float) -> float:
        """Return the factor at a step."""
        done = min(1.0, max(0, step - self.warmup) / max(1, total - self.warmup))
        return warm(step, self.warmup) * (1 + (self.minimum - 1) * done)


class Cosine:
    """Half a cosine (Loshchilov & Hutter 2017, without restarts), after an optional warm-up.

    Parameters
    ----------
    warmup
        Steps of linear increase from 0.
    minimum
        Last factor.
    """

    def __init__(self, *, warmup: NonNegativeInt = 0, minimum: Factor = 0.0) -> None:
        self.warmup, self.minimum = warmup, minimum

    def __call__(self, step: int, total: int, steps_per_epoch: float) -> float:
        """Return the factor at a step."""
        done = min(1.0, max(0, step - self.warmup) / max(1, total - self.warmup))
        return warm(step, self.warmup) * half_cosine(done, 1.0, self.minimum)


class CosineRestarts:
    """Half cosines one after the other (Loshchilov & Hutter 2017), of growing length.

    Parameters
    ----------
    period
        Length of the first one.
    growth
        Length of each over that of the one before.
    decay
        Largest factor of each over that of the one before.
    warmup
        Steps of linear increase from 0, before the first one.
    minimum
        Smallest factor.
    """

    def __init__(
        self,
        *,
        period: Duration,
        growth: PositiveInt = 1,
        decay: Annotated[float, Field(gt=0, le=1)] = 1.0,
        warmup: NonNegativeInt = 0,
        minimum: Factor = 0.0,
    ) -> None:
        self.period, self.growth, self.decay = period, growth, decay
        self.warmup, self.minimum = warmup, minimum

    def __call__(self, step: int, total: int, steps_per_epoch: float) -> float:
        """Return the factor at a step."""
        length, since, peak = self.period.in_steps(steps_per_epoch), max(0, step - self.warmup), 1.0
        while since >= length:
            since, length, peak = since - length, length * self.growth, peak * self.decay
        return warm(step, self.warmup) * half_cosine(
            since / length, max(peak, self.minimum), self.minimum
        )


class OneCycle:
    """One cycle (Smith & Topin 2018): up from a small learning rate, then down to almost 0.

    The optimiser's learning rate is the highest one. As in torch, but for the momentum, which
    stays constant.

    Parameters
    ----------
    rise
        Share of the steps in which it increases.
    start
        First factor.
    minimum
        Last factor.
    """

    def __init__(
        self,
        *,
        rise: Annotated[float, Field(gt=0, lt=1)] = 0.3,
        start: Factor = 0.04,
        minimum: Factor = 4e-6,
    ) -> None:
        self.rise, self.start, self.minimum = rise, start, minimum

    def __call__(self, step: int, total: int, steps_per_epoch: float) -> float:
        """Return the factor at a step."""
        top, last = self.rise * total - 1, total - 1
        if step <= top:
            return half_cosine(step / top if top > 0 else 1.0, self.start, 1.0)
        return half_cosine(min(1.0, (step - top) / max(last - top, 1e-9)), 1.0, self.minimum)
