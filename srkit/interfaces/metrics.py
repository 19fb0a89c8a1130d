"""Metrics: a number for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from srkit.interfaces.networks import Answer
from srkit.interfaces.samples import Batch


class Metric(Protocol):
    """A metric on images: a number for each restored image.

    Attributes
    ----------
    higher_is_better
        Whether a larger number is better. A metric with the attribute ``signed = True`` is better
        the closer it is to 0.
    unit
        Such as ``dB``; can be empty.
    protocol
        How it is measured: channel, crop, rounding, data range.
    """

    higher_is_better: bool
    unit: str
    protocol: str

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: return ``(N,)``."""
        ...


@runtime_checkable
class MappedMetric(Protocol):
    """A metric that can also map how much each pixel contributes; the report shows it."""

    def map(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Return ``(N, 1, H, W)`` in [0, 1] for ``(N, C, H, W)`` images."""
        ...


@runtime_checkable
class TeacherMetric(Protocol):
    """A metric on the outputs of a teacher; attributes as in :class:`Metric` and `TeacherLoss`.

    If its value for a data set is not the mean over images, it is a :class:`PooledMetric`.
    """

    higher_is_better: bool
    unit: str
    protocol: str
    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Tensor:
        """Compare the output on SR with that on HR: return ``(N,)``."""
        ...


@runtime_checkable
class PooledMetric(Protocol):
    """A metric whose value for a data set is not a mean.

    It is called like a :class:`Metric`, or, if it has `stages`, like a :class:`TeacherMetric`.
    """

    higher_is_better: bool
    unit: str
    protocol: str

    def __call__(self, *given: Any) -> Sequence[Any]:
        """Return for each image the data that `pool` needs: anything picklable, on the CPU."""
        ...

    def pool(self, parts: Sequence[Any], /) -> tuple[Sequence[float], float]:
        """Return the value of each image by itself, NaN if it has none, and that of all images."""
        ...
