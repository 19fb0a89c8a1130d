"""The contract checks fail for components that violate the contract."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from srkit.interfaces import Batch, Extent, Sample, Window
from srkit.testing import (
    check_dataset,
    check_loss,
    check_metric,
    check_optimiser,
    check_schedule,
)

Measure = Callable[[Tensor, Batch], Tensor]


@dataclass
class Made:
    """A metric that is defined by a function."""

    measure: Measure
    signed: bool = False
    higher_is_better: bool = False
    unit: str = ""
    protocol: str = "for the tests"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        return self.measure(sr, batch)


def excess(sr: Tensor, batch: Batch) -> Tensor:
    return (sr - batch.hr).mean((1, 2, 3))


def test_a_signed_metric_is_better_closer_to_zero() -> None:
    check_metric(Made(excess, signed=True))
    check_metric(Made(lambda sr, batch: -excess(sr, batch), signed=True))
    with pytest.raises(AssertionError, match=r"^the metric is signed, .* the value \[1\.0, 1"):
        check_metric(Made(lambda sr, batch: 1 + 2 * excess(sr, batch), signed=True))


def test_a_metric_without_a_sign_has_a_direction() -> None:
    check_metric(Made(lambda sr, batch: excess(sr, batch).abs()))
    with pytest.raises(AssertionError, match=r"^higher_is_better is True, but a perfect image"):
        check_metric(Made(lambda sr, batch: excess(sr, batch).abs(), higher_is_better=True))


def test_nan_on_the_test_images_is_refused() -> None:
    bright = lambda sr, batch: torch.where(  # noqa: E731
        batch.hr.amax((1, 2, 3)) > 5, excess(sr, batch).abs(), math.nan
    )
    with pytest.raises(AssertionError, match=r"NaN is for images that the metric cannot"):
        check_metric(Made(bright))
    check_metric(Made(bright), hr=10 * torch.rand(2, 1, 16, 16))


def test_metrics_are_given_lr_pixel_scale_and_variance() -> None:
    def measure(sr: Tensor, batch: Batch) -> Tensor:
        assert batch.lr is not None
        assert batch.variance is not None
        assert batch.lr.shape == batch.variance.shape == (len(batch), 3, 16, 16)
        assert batch.pixel_scale == 0.1
        return excess(sr, batch).abs()

    check_metric(Made(measure))


class Likelihood:
    """A Gaussian likelihood; with the wrong sign, one that rewards a wrong variance."""

    needs_variance = True

    def __init__(self, sign: int) -> None:
        self.sign = sign

    def __call__(self, sr: Tensor, log_variance: Tensor, batch: Batch) -> Tensor:
        squares = (sr.float() - batch.hr).square()
        misfit = (squares.mean().detach() * (-log_variance).exp() + log_variance).mean()
        return squares.mean() + self.sign * (misfit - misfit.detach())


def test_a_variance_loss_has_its_minimum_at_the_variance_of_the_errors() -> None:
    check_loss(Likelihood(1))
    message = "^the gradient must lead to the variance of the errors$"
    with pytest.raises(AssertionError, match=message):
        check_loss(Likelihood(-1))


class Askew:
    """A pair whose window of LR is shifted by a pixel."""

    channels, classes, notes = 1, None, ()

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        if index:
            raise IndexError(index)
        lr = torch.arange(48.0).view(1, 6, 8) / 48
        return Sample("a", lr.repeat_interleave(2, 1).repeat_interleave(2, 2), lr)

    def extent(self, index: int) -> Extent:
        return Extent("a", (12, 16), (6, 8))

    def window(self, index: int, window: Window) -> Sample:
        part = window.cut(self[index])
        assert part.lr is not None
        return replace(part, lr=part.lr.roll(1))


def test_a_window_equals_the_same_part_of_the_whole() -> None:
    message = "^a window must equal the same part of the whole sample$"
    with pytest.raises(AssertionError, match=message):
        check_dataset(Askew())


class Momentum(torch.optim.Optimizer):
    """Keeps the sum of gradients where checkpoints do not look."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 0.1})
        self.sums: dict[nn.Parameter, Tensor] = {}

    @torch.no_grad()
    def step(self, closure: object = None) -> None:
        for parameter in self.param_groups[0]["params"]:
            self.sums[parameter] = self.sums.get(parameter, 0) + parameter.grad
            parameter -= 0.1 * self.sums[parameter]


class Averaging(torch.optim.SGD):
    """Claims to average weights."""

    def eval(self) -> None:
        with torch.no_grad():
            self.param_groups[0]["params"][0].zero_()

    def train(self) -> None: ...


@pytest.mark.parametrize(
    ("optimiser", "sentence"),
    [
        (Momentum, r"step 3 differs after the state was saved and loaded$"),
        (partial(torch.optim.SGD, lr=0.0), "no weight changes in 15 steps$"),
        (partial(torch.optim.SGD, lr=1e30), "'0.weight' after 3 steps: .* are not finite$"),
        (Averaging, r"train\(\) must restore the weights that eval\(\) replaced$"),
        (torch.optim.LBFGS, "LBFGS.*closure"),
    ],
)
def test_a_wrong_optimiser(optimiser: Callable[..., torch.optim.Optimizer], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_optimiser(optimiser)


def test_a_schedule_keeps_no_state() -> None:
    calls: list[int] = []

    def schedule(step: int, total: int, steps_per_epoch: float) -> float:
        calls.append(step)
        return 1 / len(calls)

    with pytest.raises(AssertionError, match=r"^a schedule must be a pure function of the step;"):
        check_schedule(schedule)
    with pytest.raises(AssertionError, match=r"a schedule must not return 0 at all steps$"):
        check_schedule(lambda *_: 0.0)
    with pytest.raises(AssertionError, match=r"a schedule must return a number from 0, got -1$"):
        check_schedule(lambda *_: -1)
