"""Check losses and metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from srkit import interfaces
from srkit.interfaces import (
    Answer,
    Batch,
    Loss,
    Metric,
    TeacherMetric,
    VarianceLoss,
)
from srkit.stretching import View
from srkit.testing.requirements import (
    noise,
    require,
    require_attributes,
    require_close,
    require_finite,
    require_gradient,
    require_shape,
)

#: Classes of the made-up answers that teacher losses and metrics are tried on.
CLASSES = 10


def check_loss(loss: Loss, channels: int = 3, size: tuple[int, int] = (32, 32)) -> None:
    """Check a loss on random images, or on random answers of a teacher.

    Parameters
    ----------
    loss
        On images, on answers if it has the attribute `stages`, or on images and their variance if
        it has the attribute `needs_variance`.
    channels, size
        Shape of the images in pixels.

    Raises
    ------
    AssertionError
        If it is no finite scalar, its gradient is missing, not finite (also where SR equals HR),
        or does not point uphill.
    """
    batch = _batch(channels, size)
    inputs, evaluate = _as_function(loss, batch)
    start = inputs.clone().requires_grad_()
    value = evaluate(start)
    require_shape(value, (), "a loss")
    require_finite(value, "the loss")
    require(value.requires_grad, "a loss has to be differentiable with respect to SR")
    (slope,) = torch.autograd.grad(value, start)
    require_gradient(slope, "SR")
    step = 1e-2 * slope / slope.norm()
    require(
        bool(evaluate(inputs - step) < evaluate(inputs + step)),
        "a step against the gradient has to lower the loss",
    )
    perfect = _perfect(loss, batch).requires_grad_()
    (slope,) = torch.autograd.grad(evaluate(perfect), perfect)
    require_finite(slope, "the gradient where SR equals HR")
    with torch.autocast("cpu", torch.bfloat16):
        require_finite(evaluate(inputs.bfloat16()), "the loss of bf16 images in autocast")
    if isinstance(loss, VarianceLoss):
        _check_variance(loss, inputs, batch)


def _check_variance(loss: VarianceLoss, sr: Tensor, batch: Batch) -> None:
    """Check that the variance of the errors themselves is better than others."""
    require(loss.needs_variance is True, "needs_variance has to be True")
    right = torch.full_like(sr, float((sr - batch.hr).square().mean().log()))
    at = right.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(sr, at, batch), at)
    require_gradient(slope, "the log variance")
    for wrong in (right - 3, right + 3):
        wrong.requires_grad_()
        (slope,) = torch.autograd.grad(loss(sr, wrong, batch), wrong)
        towards = bool(((wrong - right) * slope).sum() > 0)
        require(towards, "the gradient has to lead to the variance that the errors have")


def check_metric(
    metric: Metric | TeacherMetric,
    channels: int = 3,
    size: tuple[int, int] = (32, 32),
    hr: Tensor | None = None,
) -> None:
    """Check a metric on random images, or on random answers of a teacher.

    SR is a mixture of HR and noise; LR has half the sides of HR and noise of variance 1.

    Parameters
    ----------
    metric
        On images, or on answers if it has the attribute `stages`.
    channels, size
        Shape of the images in pixels.
    hr
        Images ``(2, C, H, W)`` of even sides, for a metric that finds nothing to measure in noise,
        such as one of sources.

    Raises
    ------
    AssertionError
        If it does not give a number for each image that depends on that image only, has no
        protocol, finds a spoilt image better than a perfect one, or gives a map that is not of
        the image's size and in [0, 1]; a signed metric is the better the closer to 0.
    """
    require_attributes(metric, interfaces.Metric)
    require(isinstance(metric.higher_is_better, bool), "higher_is_better has to be a bool")
    require(bool(metric.protocol.strip()), "protocol has to say how the number is measured")
    batch = _batch(channels, size, hr)
    inputs, evaluate = _as_function(metric, batch)
    values = evaluate(inputs)
    require_shape(values, (len(batch),), "the values of a metric")
    require(values.is_floating_point(), f"a metric has to give floats, got {values.dtype}")
    best = evaluate(_perfect(metric, batch))
    require(
        not bool(best.isnan().any() or values.isnan().any()),
        f"a perfect image gets {best.tolist()} and a spoilt one {values.tolist()}; NaN is for "
        "images in which there is nothing to measure: check it on others, by `hr`",
    )
    alone = [_as_function(metric, _one(batch, i))[1](inputs[i : i + 1]) for i in range(len(batch))]
    require_close(torch.cat(alone), values, "the value of an image has to depend on it alone")
    if isinstance(metric, interfaces.MappedMetric):
        shown = metric.map(inputs, batch)
        require_shape(shown, (len(batch), 1, *batch.hr.shape[-2:]), "the map of a metric")
        inside = bool(((shown >= 0) & (shown <= 1)).all())
        require(inside, "the map of a metric has to be in [0, 1]")
    if getattr(metric, "signed", False):
        require(
            not bool((best.abs() > values.abs()).any()),
            f"it is signed, yet a perfect image gets {best.tolist()} and a spoilt one, nearer to "
            f"0, {values.tolist()}",
        )
        return
    worse = best < values if metric.higher_is_better else best > values
    require(
        not bool(worse.any()),
        f"higher_is_better is {metric.higher_is_better}, yet a perfect image gets "
        f"{best.tolist()} and a spoilt one {values.tolist()}",
    )


def _as_function(measure: Any, batch: Batch) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Give a bad input to a loss or metric, and the loss or metric as a function of the input.

    The input is SR, for what needs a variance with one of 0.01; for what judges by a teacher, one
    vector per image that holds the logits and the features of each stage.
    """
    if not hasattr(measure, "stages"):
        spoilt = torch.lerp(batch.hr, batch.hr.amax() * noise(*batch.hr.shape, seed=1), 0.2)
        if isinstance(measure, VarianceLoss):
            return spoilt, lambda sr: measure(sr, torch.full_like(batch.hr, math.log(0.01)), batch)
        given = View.of(batch) if isinstance(measure, interfaces.ViewLoss) else batch
        return spoilt, lambda sr: measure(sr, given)
    target = _answer(_perfect(measure, batch), measure.stages)
    bad = -_perfect(measure, batch) + noise(len(batch), 1, seed=1)
    return bad, lambda flat: measure(_answer(flat, measure.stages), target, batch)


def _perfect(measure: Any, batch: Batch) -> Tensor:
    """Give the input of :func:`_as_function` that is the original's own."""
    if not hasattr(measure, "stages"):
        return batch.hr.clone()
    assert batch.labels is not None
    logits = 5 * nn.functional.one_hot(batch.labels, CLASSES) + batch.hr[:, 0, 0, :CLASSES]
    features = batch.hr[:, :1, :8, :8].flatten(1).repeat(1, len(measure.stages))
    return torch.cat([logits, features], 1)


def _answer(flat: Tensor, stages: Sequence[str]) -> Answer:
    logits, *features = torch.split(flat, [CLASSES, *[64] * len(stages)], 1)
    maps = {name: f.view(-1, 4, 4, 4) for name, f in zip(stages, features, strict=True)}
    return Answer(logits.float(), maps)


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
    )


def _one(batch: Batch, index: int) -> Batch:
    part = slice(index, index + 1)
    assert batch.labels is not None
    assert batch.lr is not None
    assert batch.variance is not None
    return replace(
        batch,
        names=batch.names[part],
        hr=batch.hr[part],
        seeds=batch.seeds[part],
        lr=batch.lr[part],
        labels=batch.labels[part],
        variance=batch.variance[part],
    )
