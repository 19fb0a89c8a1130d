"""The meaning of pixel values; it is stored with weights, so that other images can be converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from srkit.interfaces.samples import Batch

#: The smallest and the largest of some numbers.
Span: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LRStatistics:
    """What LR images are like, in the values of the network, from the least to the most.

    Parameters
    ----------
    images
        Number of images.
    level
        Their medians.
    noise
        Root mean squares of their noise.
    values
        The smallest and the largest value of any.
    """

    images: int
    level: Span
    noise: Span
    values: Span

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> LRStatistics:
        """Read the result of :func:`dataclasses.asdict`, after storage as JSON."""
        spans = {name: tuple(stored[name]) for name in ("level", "noise", "values")}
        return cls(stored["images"], **spans)

    def merged(self, other: LRStatistics) -> LRStatistics:
        """Return the statistics of both groups of images."""

        def span(one: Span, another: Span) -> Span:
            return min(one[0], another[0]), max(one[1], another[1])

        return LRStatistics(
            self.images + other.images,
            span(self.level, other.level),
            span(self.noise, other.noise),
            span(self.values, other.values),
        )


@dataclass(frozen=True, slots=True)
class Quantity:
    """The meaning of the pixel values of images, for instance those used for training.

    Parameters
    ----------
    unit
        Physical unit of the values; empty for photographs.
    zero_point
        AB magnitude of one unit, if known.
    pixel_scale
        Side of an HR pixel on the sky in arcsec, if known.
    data_range
        The values of black and white.
    lr
        What the LR images of the training are like, if they have a unit.
    """

    unit: str = ""
    zero_point: float | None = None
    pixel_scale: float | None = None
    data_range: tuple[float, float] = (0.0, 1.0)
    lr: LRStatistics | None = field(default=None, compare=False)

    @classmethod
    def of(cls, batch: Batch) -> Quantity:
        """Return the quantity of a batch."""
        return cls(batch.unit, batch.zero_point, batch.pixel_scale, batch.data_range)

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Quantity:
        """Read the result of :meth:`dump`."""
        low, high = stored["data_range"]
        lr = stored.get("lr")
        known = None if lr is None else LRStatistics.parse(lr)
        return cls(**{**stored, "data_range": (low, high), "lr": known})

    def dump(self) -> dict[str, Any]:
        """Convert to plain data for a checkpoint."""
        return asdict(self)
