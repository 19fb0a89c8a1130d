"""Bring images to the values and channels that a network was trained on, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Image

if TYPE_CHECKING:
    from srkit.models.open import Model

#: The error if an image has no finite values.
NO_VALUES = "no pixel has a value: all are NaN or infinite"


@dataclass(frozen=True, slots=True)
class Normalisation:
    """From the values of an image to those of a network: ``(x - offset) * factor + target``."""

    offset: float
    factor: float
    target: float = 0.0

    @classmethod
    def of(cls, image: Image, model: Model) -> Normalisation:
        """Choose the normalisation of an image for a model.

        A model with a stretch that is fitted to each image gets the values unchanged; a model of
        calibrated fluxes gets them at its own zero point; any other model gets the data range of
        the image mapped to that of its training images.

        Raises
        ------
        DataError
            If the model requires calibrated fluxes, and the zero point of the image is unknown.
        """
        if model.stretch is not None and model.stretch.unitless:
            return cls(0.0, 1.0)
        quantity = model.quantity
        if quantity.zero_point is None:
            low, high = image.data_range
            black, white = quantity.data_range
            return cls(low, (white - black) / (high - low), black)
        zero_point = image.metadata.get("zero_point")
        if zero_point is None:
            raise DataError(
                "states no zero point, but the network was trained on calibrated fluxes (AB "
                f"{quantity.zero_point:g}); give it with --zero-point"
            )
        return cls(0.0, 10 ** (0.4 * (quantity.zero_point - zero_point)))

    def apply(self, values: Tensor) -> Tensor:
        """Convert values of the image to those of the network."""
        return (values - self.offset) * self.factor + self.target

    def invert(self, values: Tensor) -> Tensor:
        """Convert values of the network to those of the image."""
        return (values - self.target) / self.factor + self.offset

    def invert_sigma(self, sigma: Tensor) -> Tensor:
        """Convert standard deviations of the network's values to those of the image's."""
        return sigma / abs(self.factor)


def as_bands(values: Tensor, channels: int | None) -> Tensor:
    """Arrange ``(C, H, W)`` for a network of so many channels: ``(N, channels, H, W)``.

    Raises
    ------
    DataError
        If the channels do not fit the network.
    """
    if channels is None or len(values) == channels:
        return values[None]
    if channels == 1:
        return values[:, None]
    if channels == 3:
        return values[:, None].expand(-1, 3, -1, -1)
    raise DataError(f"has {len(values)} channels, but the network expects {channels}")


def note_on_bands(bands: int, channels: int | None) -> list[str]:
    """Describe how :func:`as_bands` arranges bands, if there is a choice."""
    if channels in (None, bands):
        return []
    if channels == 1:
        return [f"{bands} bands are restored one by one"]
    each = "the only band" if bands == 1 else f"each of {bands} bands"
    return [f"the network is for RGB: {each} is used as red, green and blue"]


def note_on_holes(count: int) -> str:
    """Describe that some pixels have no value."""
    counted = "1 pixel has" if count == 1 else f"{count} pixels have"
    return f"{counted} no value, and none in SR either"


def filled(pixels: Tensor, holes: Tensor, medians: Tensor | None = None) -> Tensor:
    """Fill pixels without a value with the median of their band; 0 in a band without values."""
    if not holes.any():
        return pixels
    full = pixels.clone()
    for index, (band, bad) in enumerate(zip(full, holes, strict=True)):
        if medians is not None:
            band[bad] = medians[index]
        else:
            band[bad] = band[~bad].median() if not bad.all() else 0.0
    return full


def merge_bands(bands: Tensor, channels: int) -> Tensor:
    """Undo :func:`as_bands` for an image of so many channels; RGB of one band is averaged."""
    if len(bands) > 1 or bands.shape[1] != channels:
        return bands.mean(1)
    return bands[0]
