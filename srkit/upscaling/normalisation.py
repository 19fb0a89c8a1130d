"""Bring images to the values and channels that a network was trained on, and back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Image
from srkit.models.open import Model

#: The error if an image has no finite values.
NO_VALUES = "no pixel has a value: all are NaN or infinite"


@dataclass(frozen=True, slots=True)
class Normalisation:
    """From an image to the input of a network: ``(x - offset) * factor + target``, as bands.

    Parameters
    ----------
    offset, factor, target
        How values are converted.
    bands
        Channels of the image.
    channels
        Channels of the network; None for any number.
    """

    offset: float
    factor: float
    target: float
    bands: int
    channels: int | None

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
        shape = len(image.pixels), model.channels
        if model.stretch is not None and model.stretch.unitless:
            return cls(0.0, 1.0, 0.0, *shape)
        quantity = model.quantity
        if quantity.zero_point is None:
            low, high = image.data_range
            black, white = quantity.data_range
            return cls(low, (white - black) / (high - low), black, *shape)
        zero_point = image.metadata.get("zero_point")
        if zero_point is None:
            why = image.metadata.get("zero_point_error")
            raise DataError(
                f"states no zero point{f' ({why})' if why else ''}, but the network was trained on "
                f"calibrated fluxes (AB {quantity.zero_point:g}); give it with --zero-point"
            )
        return cls(0.0, 10 ** (0.4 * (quantity.zero_point - zero_point)), 0.0, *shape)

    def apply(self, values: Tensor) -> Tensor:
        """Convert ``(C, H, W)`` values of the image to bands, see :func:`as_bands`."""
        return as_bands(self.scaled(values), self.channels)

    def scaled(self, values: Tensor) -> Tensor:
        """Convert values of the image to those of the network."""
        return (values - self.offset) * self.factor + self.target

    def invert(self, bands: Tensor) -> Tensor:
        """Convert SR of the bands, ``(N, channels, H, W)``, to values of the image, on the CPU."""
        return (self._merged(bands) - self.target) / self.factor + self.offset

    def invert_sigma(self, bands: Tensor) -> Tensor:
        """Convert standard deviations of SR of the bands to those of the image."""
        return self._merged(bands) / abs(self.factor)

    def _merged(self, bands: Tensor) -> Tensor:
        """Undo :func:`as_bands`; RGB of one band is averaged."""
        apart = len(bands) > 1 or bands.shape[1] != self.bands
        return (bands.mean(1) if apart else bands[0]).cpu()

    @property
    def notes(self) -> list[str]:
        """Messages for the user on how the bands are arranged, if there is a choice."""
        if self.channels in (None, self.bands):
            return []
        if self.channels == 1:
            return [f"{self.bands} bands are restored one by one"]
        each = "the only band" if self.bands == 1 else f"each of {self.bands} bands"
        return [f"the network is for RGB: {each} is used as red, green and blue"]


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
