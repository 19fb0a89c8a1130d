"""Check losses and metrics."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from srkit import interfaces
from srkit.data.truth import tasks_of
from srkit.interfaces import (
    Batch,
    Loss,
    Metric,
    PooledMetric,
    Task,
    TeacherMetric,
    VarianceLoss,
)
from srkit.interfaces._contract import (
    require,
    require_component,
    require_loss,
    require_shape,
    require_values,
)
from srkit.interfaces.view import View
from srkit.testing._answers import CLASSES, perfect_answer, to_answer, true_boxes
from srkit.testing._critic import SmallCritic
from srkit.testing._requirements import (
    noise,
    require_close,
    require_finite,
    require_gradient,
    stated,
)


@stated
def check_loss(loss: Loss, channels: int = 3, size: tuple[int, int] = (32, 32)) -> None:
    """Check a loss on random images, or on random outputs of teachers of each of its tasks.

    Parameters
    ----------
    loss
        A loss on images; on teacher outputs if it has the attribute `stages`; on images and their
        variance if it has the attribute `needs_variance`.
    channels, size
        Shape of the images in pixels.

    Raises
    ------
    AssertionError
        If it is not a finite scalar, or its gradient is missing, is not finite (even if SR equals
        HR) or does not point uphill.
    """
    batch = _batch(channels, size)
    for task in _tasks(loss):
        _check_slope(loss, task, batch)
    if isinstance(loss, VarianceLoss):
        inputs, _ = _as_function(loss, None, batch)
        _check_variance(loss, inputs, batch)


def _check_slope(loss: Loss, task: Task | None, batch: Batch) -> None:
    """Check that a loss is a finite scalar, which a step against its gradient lowers."""
    inputs, evaluate = _as_function(loss, task, batch)
    _check_unchanged(loss, task, batch, inputs, "a loss")
    start = inputs.clone().requires_grad_()
    value = evaluate(start)
    require_loss(value)
    require_finite(value, "the loss")
    require(value.requires_grad, "a loss must be differentiable with respect to SR")
    (slope,) = torch.autograd.grad(value, start)
    require_gradient(slope, "SR")
    step = 1e-2 * slope / slope.norm()
    require(
        bool(evaluate(inputs - step) < evaluate(inputs + step)),
        "a step against the gradient must lower the loss",
    )
    perfect = _perfect(loss, task, batch).requires_grad_()
    (slope,) = torch.autograd.grad(evaluate(perfect), perfect)
    require_finite(slope, "the gradient if SR equals HR")
    with torch.autocast("cpu", torch.bfloat16):
        require_finite(evaluate(inputs.bfloat16()), "the loss of bf16 images in autocast")


def _check_variance(loss: VarianceLoss, sr: Tensor, batch: Batch) -> None:
    """Check that the minimum is at the variance of the errors."""
    require(loss.needs_variance is True, "needs_variance must be True")
    right = torch.full_like(sr, float((sr - batch.hr).square().mean().log()))
    at = right.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(sr, at, batch), at)
    require_gradient(slope, "the log variance")
    for wrong in (right - 3, right + 3):
        wrong.requires_grad_()
        (slope,) = torch.autograd.grad(loss(sr, wrong, batch), wrong)
        towards = bool(((wrong - right) * slope).sum() > 0)
        require(towards, "the gradient must lead to the variance of the errors")


@stated
def check_metric(
    metric: Metric | TeacherMetric | PooledMetric,
    channels: int = 3,
    size: tuple[int, int] = (32, 32),
    hr: Tensor | None = None,
) -> None:
    """Check a metric on random images, or on random outputs of teachers of each of its tasks.

    SR is a mixture of HR and noise; LR has half the sides of HR and noise of variance 1.

    Parameters
    ----------
    metric
        A metric on images, or on teacher outputs if it has the attribute `stages`.
    channels, size
        Shape of the images in pixels.
    hr
        Images ``(2, C, H, W)`` with even sides, for a metric that gives NaN on random images, such
        as one that needs sources.

    Raises
    ------
    AssertionError
        If it does not return a number for each image that depends on that image only, has no
        protocol, prefers a degraded image to a perfect one (a signed metric is better closer to
        0), or returns a map that is not in [0, 1] or not of the size of the image.
    """
    require_component(metric, "metrics")
    batch = _batch(channels, size, hr)
    for task in _tasks(metric):
        _check_values(metric, task, batch)
    if isinstance(metric, interfaces.MappedMetric):
        shown = metric.map(_as_function(metric, None, batch)[0], batch)
        require_shape(shown, (len(batch), 1, *batch.hr.shape[-2:]), "the map of a metric")
        inside = bool(((shown >= 0) & (shown <= 1)).all())
        require(inside, "the map of a metric must be in [0, 1]")


def _check_values(
    metric: Metric | TeacherMetric | PooledMetric, task: Task | None, batch: Batch
) -> None:
    """Check the values of a metric on degraded and on perfect images."""
    inputs, evaluate = _as_function(metric, task, batch)
    _check_unchanged(metric, task, batch, inputs, "a metric")
    values = evaluate(inputs)
    if not isinstance(metric, PooledMetric):
        require_values(values, metric, len(batch))
    best = evaluate(_perfect(metric, task, batch))
    require(
        not bool(best.isnan().any() or values.isnan().any()),
        f"a perfect image has the value {best.tolist()} and a degraded one {values.tolist()}; NaN "
        "is for images that the metric cannot measure: set `hr` to others",
    )
    if not isinstance(metric, PooledMetric):
        alone = [
            _as_function(metric, task, _one(batch, i))[1](inputs[i : i + 1])
            for i in range(len(batch))
        ]
        require_close(torch.cat(alone), values, "the value of an image must depend on it alone")
    if getattr(metric, "signed", False):
        require(
            not bool((best.abs() > values.abs()).any()),
            f"the metric is signed, but a perfect image has the value {best.tolist()} and a "
            f"degraded one {values.tolist()}, which is closer to 0",
        )
        return
    worse = best < values if metric.higher_is_better else best > values
    require(
        not bool(worse.any()),
        f"higher_is_better is {metric.higher_is_better}, but a perfect image has the value "
        f"{best.tolist()} and a degraded one {values.tolist()}",
    )


def _check_unchanged(
    measure: Any, task: Task | None, batch: Batch, inputs: Tensor, what: str
) -> None:
    """Check that neither the input nor the batch is changed."""
    assert batch.lr is not None
    given = [2 * inputs - 0.5, batch.hr, batch.lr]  # some values exceed [0, 1]
    kept = [image.clone() for image in given]
    with torch.no_grad():
        _as_function(measure, task, batch)[1](given[0])
    same = all(map(torch.equal, kept, given))
    require(same, f"{what} must not change SR or the batch")


def _tasks(measure: Any) -> Sequence[Task | None]:
    """List the tasks of the teachers of a loss or metric; None if it needs no teacher."""
    return tasks_of(measure) if hasattr(measure, "stages") else [None]


def _as_function(
    measure: Any, task: Task | None, batch: Batch
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return a bad input of a loss or metric, and the loss or metric as a function of its input.

    The input is SR, with a variance of 0.01 if one is needed. With a teacher, it is a vector for
    each image, of the teacher's scores and the features of each stage.
    """
    if task is None:
        degraded = torch.lerp(batch.hr, batch.hr.amax() * noise(*batch.hr.shape, seed=1), 0.2)
        if isinstance(measure, VarianceLoss):
            return degraded, lambda sr: measure(
                sr, torch.full_like(batch.hr, math.log(0.01)), batch
            )
        if isinstance(measure, PooledMetric):
            return degraded, lambda sr: _pooled(measure, measure(sr, batch))
        given = _view(batch) if isinstance(measure, interfaces.ViewLoss) else batch
        return degraded, lambda sr: measure(sr, given)
    perfect = _perfect(measure, task, batch)
    target = to_answer(perfect, task, measure.stages, batch)

    def evaluate(flat: Tensor) -> Tensor:
        found = measure(to_answer(flat, task, measure.stages, batch), target, batch)
        return _pooled(measure, found) if isinstance(measure, PooledMetric) else found

    return -perfect + noise(len(batch), 1, seed=1), evaluate


def _view(batch: Batch) -> View:
    """Return a view as in a training, whose averaged generator restores nearly perfectly."""
    average = torch.lerp(batch.hr, noise(*batch.hr.shape, seed=2), 0.01)
    return replace(
        View.of(batch),
        average=lambda: average,
        degrade=lambda sr: nn.functional.avg_pool2d(sr, 2),
        discriminator=SmallCritic(batch.hr.shape[1]).requires_grad_(False),
    )


def _pooled(metric: PooledMetric, parts: Sequence[Any]) -> Tensor:
    """Return the values of the images, after checking that of all images together."""
    require_values(parts, metric, 2)
    values, whole = metric.pool(pickle.loads(pickle.dumps(parts)))
    require(isinstance(whole, float), f"the value of all images must be a float: {whole!r}")
    return torch.tensor(values)


def _perfect(measure: Any, task: Task | None, batch: Batch) -> Tensor:
    """Return the best input of the function of :func:`_as_function`."""
    return batch.hr.clone() if task is None else perfect_answer(task, measure.stages, batch)


def _batch(channels: int, size: tuple[int, int], hr: Tensor | None = None) -> Batch:
    hr = noise(2, channels, *size) if hr is None else hr
    lr = nn.functional.avg_pool2d(hr, 2)
    return Batch(
        names=["first", "second"],
        hr=hr,
        seeds=[0, 1],
        lr=lr,
        labels=torch.tensor([2, 7]),
        pixel_scale=0.1,
        variance=torch.ones_like(lr),
        masks=torch.arange(2 * hr[0, 0].numel()).view(2, *hr.shape[-2:]) % CLASSES,
        boxes=true_boxes(),
    )


def _one(batch: Batch, index: int) -> Batch:
    names = ("names", "hr", "seeds", "lr", "labels", "variance", "masks", "boxes")
    return replace(batch, **{name: getattr(batch, name)[index : index + 1] for name in names})
