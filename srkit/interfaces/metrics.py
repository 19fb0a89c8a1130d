"""Metrics: a number for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

from srkit.interfaces.networks import Answer
from srkit.interfaces.samples import Batch

if TYPE_CHECKING:
    pass


class Metric(Protocol):
    """A number for each restored image.

    Attributes
    ----------
    higher_is_better
        Direction.
    unit
        ``dB``, for instance; may be empty.
    protocol
        How it is measured: channel, crop, rounding, data range.
    """

    higher_is_better: bool
    unit: str
    protocol: str

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        ...


@runtime_checkable
class MappedMetric(Protocol):
    """A metric that can tell where in the image its number comes from; the report shows it."""

    def map(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Give ``(N, 1, H, W)`` in [0, 1] for ``(N, C, H, W)`` images."""
        ...


@runtime_checkable
class TeacherMetric(Protocol):
    """A metric on a teacher's answers; attributes as in :class:`Metric` and `TeacherLoss`.

    If its number for a set is no mean over the images, it is a :class:`PooledMetric`.
    """

    higher_is_better: bool
    unit: str
    protocol: str
    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        ...


@runtime_checkable
class PooledMetric(Protocol):
    """A metric on a teacher's answers whose number for a set is no mean over its images."""

    higher_is_better: bool
    unit: str
    protocol: str
    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Sequence[Any]:
        """Take what the number needs from each image: anything, on the CPU, that pickles."""
        ...

    def pool(self, parts: Sequence[Any], /) -> tuple[Sequence[float], float]:
        """Give the number of each image by itself, NaN where it has none, and that of the set."""
        ...
