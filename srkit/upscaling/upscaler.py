"""Restore whole images with a trained network: any size, any scale, in their own values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy

import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.functional.resizing import Kernel, resize, resize_mask, resized_side
from srkit.interfaces import Image, Upscaled
from srkit.models.open import Model
from srkit.system.precision import Precision
from srkit.upscaling.familiarity import differences, sample_of
from srkit.upscaling.groups import map_groups
from srkit.upscaling.holes import (
    interpolated,
    note_on_holes,
    resized_marks,
    unusable,
    with_all_values,
)
from srkit.upscaling.network import NetworkRunner, WantedEngine, WantedPrecision
from srkit.upscaling.normalisation import NO_VALUES, Normalisation

#: Relative difference of pixel scales that is not reported.
ALIKE = 0.1
#: LR pixels of small images that the network receives at once.
TOGETHER = 256 * 256


class ImageUpscaler:
    """Restores images with one model; thread-safe.

    Parameters
    ----------
    model
        The model.
    scale
        SR pixels per LR pixel along a side, any number above 0; the model's own by default.
        For another scale, SR of the model's scale is resized, with antialiasing.
    self_ensemble, uncertainty, precision, tile, device, engine
        As for :class:`srkit.Upscaler`.

    Raises
    ------
    ValueError
        If the scale or the tile is not positive, the precision or engine is unknown, or the
        engine does not support the device.
    WeightsError
        If the uncertainty of an interpolation is requested.
    OutputError, PluginError
        If OpenVINO cannot run the network, or is missing.
    """

    def __init__(
        self,
        model: Model,
        *,
        scale: float | None = None,
        self_ensemble: bool = False,
        uncertainty: bool = False,
        precision: WantedPrecision = "auto",
        tile: int | None = None,
        device: torch.device | str | None = None,
        engine: WantedEngine = "torch",
    ) -> None:
        if scale is not None and not 0 < scale < float("inf"):
            raise ValueError(f"the scale must be positive, got {scale}")
        self.model = model
        self.scale = float(model.scale if scale is None else scale)
        self.network = NetworkRunner(
            model,
            self_ensemble=self_ensemble,
            uncertainty=uncertainty,
            tile=tile,
            device=device,
            engine=engine,
            precision=precision,
        )

    def at(self, scale: float) -> ImageUpscaler:
        """Return an upscaler for another scale, with the same network."""
        other = copy(self)
        other.scale = float(scale)
        return other

    def for_image(self, lr: Image) -> ImageUpscaler:
        """Return the upscaler for an image: this one, for any image."""
        return self

    def __call__(
        self, image: Image, report: Callable[[int, int], None] = lambda done, total: None
    ) -> Upscaled:
        """Restore an image.

        Parameters
        ----------
        image
            Pixels and data range, and of the metadata ``bits``, ``zero_point`` (AB magnitude of one
            unit), ``pixel_scale`` (arcsec), ``variance``, ``unusable`` (pixels that no network
            receives, ``(1 or C, H, W)`` bool) and ``unusable_notes``, if they are known.
        report
            Receives the LR pixels done and in total, for each band.

        Raises
        ------
        DataError
            If no pixel has a value, the channels do not fit the model, or the model was trained
            on calibrated fluxes and the image is not calibrated.
        """
        return self.batch([image], report)[0]

    def batch(
        self, images: Sequence[Image], report: Callable[[int, int], None] = lambda done, total: None
    ) -> list[Upscaled]:
        """Restore images; small ones of the same size pass through the network together.

        Parameters
        ----------
        images, report
            As for :meth:`__call__`.

        Raises
        ------
        DataError
            As :meth:`__call__` does, for any of them.
        """

        def restore(group: list[Image]) -> list[Upscaled]:
            forms = [Normalisation.of(image, self.model) for image in group]
            bands = [form.apply(_filled(image)) for form, image in zip(forms, group, strict=True)]
            restored = self._restore(bands, group[0], report)
            return [
                self._finish(image, form, *parts)
                for image, form, parts in zip(group, forms, restored, strict=True)
            ]

        return map_groups(
            restore,
            [with_all_values(image) for image in images] if self.interpolates else images,
            lambda image: (
                image.pixels.shape,
                self.precision_for(image),
                image.metadata.get("pixel_scale"),
            ),
        )

    def precision_for(self, image: Image) -> Precision:
        """Return the precision in which an image is restored."""
        return self.network.precision_for(image.metadata.get("bits"))

    def notes_on(self, image: Image) -> list[str]:
        """Return messages for the user about an image and this model."""
        notes = self._on_pixel_scale(image)
        if self.network.uncertainty and self.model.head is None:
            notes.append(
                "SR is the mean over eight flips and rotations; their standard deviation is the "
                "spread of SR, which is not an error: the network predicts none"
            )
        notes += image.metadata.get("unusable_notes", [])
        return [*notes, *Normalisation.of(image, self.model).notes]

    def _on_pixel_scale(self, image: Image) -> list[str]:
        side, trained = image.metadata.get("pixel_scale"), self.model.quantity.pixel_scale
        if not side or not trained or abs(side / (trained * self.model.scale) - 1) <= ALIKE:
            return []
        return [
            f"the pixel scale is {side:.3g} arcsec but the network was trained at "
            f"{trained * self.model.scale:.3g}; its PSF will not match"
        ]

    @property
    def interpolates(self) -> bool:
        """Whether the model is an interpolation, which receives all values."""
        return self.model.channels is None

    def _restore(
        self, bands: list[Tensor], image: Image, report: Callable[[int, int], None]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Restore the bands of images like `image`, each ``(N, C, H, W)``, at the model's scale."""
        height, width = image.pixels.shape[-2:]
        most = max(1, TOGETHER // (height * width))
        sr, sigma = joined(
            self.network.restore(
                some,
                precision=self.precision_for(image),
                pixel_scale=image.metadata.get("pixel_scale"),
                report=report,
            )
            for some in torch.split(torch.cat(bands), most)
        )
        counts = [len(each) for each in bands]
        sigmas = [None] * len(bands) if sigma is None else torch.split(sigma, counts)
        return list(zip(torch.split(sr, counts), sigmas, strict=True))

    def _finish(
        self, image: Image, form: Normalisation, sr: Tensor, sigma: Tensor | None
    ) -> Upscaled:
        """Convert SR of an image to its scale, its values and its bands."""
        holes, bad, notes = ~image.pixels.isfinite(), unusable(image), self.notes_on(image)
        guesses = self._on_pixel_scale(image)
        height, width = (resized_side(side, self.scale) for side in holes.shape[-2:])

        def resized(bands: Tensor, kernel: Kernel) -> Tensor:
            if self.scale == self.model.scale:
                return bands
            factor = self.scale / self.model.scale
            return resize(bands, (height, width), factor=factor, kernel=kernel)

        pixels = form.invert(resized(sr, "bicubic"))
        spread = None if sigma is None else form.invert_sigma(resized(sigma, "bilinear"))
        if holes.any():
            notes.append(note_on_holes(int(holes.sum())))
            missing = resize_mask(holes, (height, width))
            pixels = pixels.masked_fill(missing, torch.nan)
            spread = None if spread is None else spread.masked_fill(missing, torch.nan)
        if self.model.quantity.lr is not None:
            usable = image.pixels[~bad]
            extremes = float(usable.min()), float(usable.max())
            unlike = differences(sample_of(image), extremes, form, self.model)
            notes, guesses = [*notes, *unlike], [*guesses, *unlike]
        marked = None
        if bad.any():
            marked = resized_marks(bad, self.network.core_radius, (height, width))
        return Upscaled(pixels, spread, notes, guesses=guesses, marks=marked)


def _filled(image: Image) -> Tensor:
    """Return the pixels of an image, with those that are not usable interpolated."""
    bad = unusable(image)
    if bad.all():
        raise DataError(NO_VALUES)
    return interpolated(image.pixels.float(), bad)


def joined(parts: Iterable[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    """Concatenate parts of SR and its standard deviation."""
    sr, sigmas = zip(*parts, strict=True)
    return torch.cat(sr), None if sigmas[0] is None else torch.cat(sigmas)
