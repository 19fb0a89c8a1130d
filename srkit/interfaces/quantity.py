"""The meaning of pixel values; it is stored with weights, so that other images can be converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from srkit.interfaces.samples import Batch


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
    """

    unit: str = ""
    zero_point: float | None = None
    pixel_scale: float | None = None
    data_range: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(cls, batch: Batch) -> Quantity:
        """Return the quantity of a batch."""
        return cls(batch.unit, batch.zero_point, batch.pixel_scale, batch.data_range)

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Quantity:
        """Read the result of :meth:`dump`."""
        low, high = stored["data_range"]
        return cls(**{**stored, "data_range": (low, high)})

    def dump(self) -> dict[str, Any]:
        """Convert to plain data for a checkpoint."""
        return asdict(self)
