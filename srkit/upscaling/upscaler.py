"""Restore whole images with a trained network: any size, any scale, in their own values."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn

from srkit.errors import DataError, WeightsError
from srkit.functional._self_ensemble import self_ensemble
from srkit.functional.resizing import Kernel, resize, resize_mask, resized_side
from srkit.interfaces import Batch, Image, Upscaled
from srkit.interfaces.view import View
from srkit.system.memory import keep_freed_memory
from srkit.upscaling.groups import map_groups
from srkit.upscaling.tiling import NEGLIGIBLE, OF_LEVELS, reach, restore_tiled, side_that_fits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from srkit.models.open import Model

#: How computing is rounded: ``auto`` is bf16 for pictures of 8 bits, which it does not show in.
Precision = Literal["auto", "bf16", "fp32"]
#: What runs the network.
Engine = Literal["torch", "openvino"]
#: How far the pixel scale of an image may be from that of the training images.
ALIKE = 0.1
#: Images up to this side are never divided, so that nothing has to be measured for them.
WHOLE = 64
#: The error of an image in which there is nothing to restore.
NO_VALUES = "no pixel has a value: all are NaN or infinite"
#: LR pixels of small images that the network is given at once.
TOGETHER = 256 * 256


class ImageUpscaler:
    """Restores images with one model; may serve several threads.

    Parameters
    ----------
    model
        What to restore with.
    scale
        SR pixels for each LR pixel along a side, any number above 0; the model's own by default.
        For another one, SR of the model's scale is resized, antialiased.
    self_ensemble
        Average over the eight flips and quarter turns of LR: eight times the work.
    uncertainty
        Give the standard deviation too: what the model predicts of its own errors, or else the
        spread over the eight turns, which tells only where the model disagrees with itself.
    precision
        ``fp32``, ``bf16``, or ``auto``: bf16 for pictures of 8 bits.
    tile
        Side of the tiles in LR pixels; by default what fits into half of the free memory.
    device
        Where to compute; a GPU if there is one.
    engine
        What runs the network: torch, or OpenVINO on the CPU.

    Raises
    ------
    ValueError
        If the scale or the tile is not positive, there is no such precision or engine, or the
        engine does not run on the device.
    WeightsError
        If the uncertainty of an interpolation is asked for.
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
        precision: Precision = "auto",
        tile: int | None = None,
        device: torch.device | str | None = None,
        engine: Engine = "torch",
    ) -> None:
        if scale is not None and not 0 < scale < float("inf"):
            raise ValueError(f"the scale must be positive, got {scale}")
        for what, given, known in (("precision", precision, Precision), ("engine", engine, Engine)):
            if given not in get_args(known):
                listed = ", ".join(get_args(known))
                raise ValueError(f"the {what} is one of {listed}, got {given!r}")
        if tile is not None and tile < 1:
            raise ValueError(f"the tile must be positive, got {tile}")
        if uncertainty and model.channels is None:
            raise WeightsError(
                f"'{model.name}' is an interpolation, which does not know how sure it is; leave "
                "the uncertainty out"
            )
        self.model = model
        self.scale = float(model.scale if scale is None else scale)
        self.self_ensemble, self.uncertainty = self_ensemble, uncertainty
        self.precision, self.given_tile, self.engine = precision, tile, engine
        on_gpu = torch.cuda.is_available() and engine == "torch"
        self.device = torch.device(device or ("cuda" if on_gpu else "cpu"))
        if engine == "openvino" and self.device.type != "cpu":
            raise ValueError(f"the engine openvino runs on the CPU, got the device {device}")
        if self.device.type == "cpu":
            keep_freed_memory()
        layout = torch.channels_last if model.generator.channels_last else torch.contiguous_format
        if model.head is not None:
            model.head.to(self.device)
        network = model.generator.to(self.device).to(memory_format=layout)
        self._layout = layout
        self._network = network
        if engine == "openvino" and model.channels is not None:
            from srkit.models.openvino import OpenVINONetwork

            self._network = OpenVINONetwork(model)
        self._needs = _Needs(network, self._network, model.channels or 1, self.device)

    def at(self, scale: float) -> ImageUpscaler:
        """Give this upscaler for another scale; the network is the same."""
        other = copy(self)
        other.scale = float(scale)
        return other

    def for_image(self, lr: Image) -> ImageUpscaler:
        """Give the upscaler for an image: this one, of any."""
        return self

    @property
    def margin(self) -> int:
        """LR pixels around a tile that matter to it in fp32, as measured on the network."""
        return self._needs.margin(rounded=False)

    @property
    def tile(self) -> int:
        """Side of a tile in LR pixels, without its margin in fp32."""
        return self._side(rounded=False)

    def _fits(self, longest: int, given: int | None) -> bool:
        """Tell whether an image is not divided, for which no margin has to be measured."""
        if given is not None:
            return longest <= given
        return longest <= WHOLE or longest <= self._needs.whole

    def _side(self, *, rounded: bool) -> int:
        return self.given_tile or self._needs.tile(rounded=rounded)

    def __call__(
        self, image: Image, report: Callable[[int, int], None] = lambda done, total: None
    ) -> Upscaled:
        """Restore an image.

        Parameters
        ----------
        image
            Pixels and data range; of the metadata, ``bits``, ``zero_point`` (AB magnitude of one
            unit), ``pixel_scale`` (arcsec of a pixel) and ``variance`` matter, where they are
            there.
        report
            Called with the LR pixels done and in all, for each band.

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
        """Restore images; the network is given small ones of the same size together.

        Parameters
        ----------
        images, report
            As :meth:`__call__` takes each of them.

        Raises
        ------
        DataError
            As :meth:`__call__` does, for any of them.
        """

        def restore(group: list[Image]) -> list[Upscaled]:
            prepared = [self._prepare(image) for image in group]
            restored = self._restore_together([each.bands for each in prepared], group[0], report)
            return [
                self._finish(each, *parts) for each, parts in zip(prepared, restored, strict=True)
            ]

        return map_groups(
            restore,
            images,
            lambda image: (
                image.pixels.shape,
                self._rounded(image),
                image.metadata.get("pixel_scale"),
            ),
        )

    def _rounded(self, image: Image) -> bool:
        """Tell whether an image is restored in bf16."""
        if self.precision == "auto":
            return image.metadata.get("bits") == 8
        return self.precision == "bf16"

    def _prepare(self, image: Image) -> _Prepared:
        """Bring an image to the values and channels that the network knows."""
        pixels = image.pixels.float()
        holes = ~pixels.isfinite()
        if holes.all():
            raise DataError(NO_VALUES)
        notes: list[str] = []
        calibration = calibrate(image, self.model)
        self.compare_pixels(image, notes)
        self.tell_of_scatter(notes)
        values = calibration.to_model(filled(pixels, holes))
        return _Prepared(holes, calibration, as_bands(values, self.model.channels, notes), notes)

    def _restore_together(
        self, bands: list[Tensor], image: Image, report: Callable[[int, int], None]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Restore the bands of images, each ``(N, C, H, W)``, at the model's scale."""
        height, width = image.pixels.shape[-2:]
        most = max(1, TOGETHER // (height * width))
        with (
            torch.no_grad(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self._rounded(image)),
        ):
            parts = [
                self._restore(some, image, report) for some in torch.split(torch.cat(bands), most)
            ]
        counts = [len(each) for each in bands]
        sr = torch.split(torch.cat([sr for sr, _ in parts]), counts)
        if not self.uncertainty:
            return [(each, None) for each in sr]
        spreads = torch.cat([sigma for _, sigma in parts if sigma is not None])
        return list(zip(sr, torch.split(spreads, counts), strict=True))

    def _finish(self, given: _Prepared, sr: Tensor, sigma: Tensor | None) -> Upscaled:
        """Bring SR of an image to its scale, its values and its bands."""
        holes, calibration, notes = given.holes, given.calibration, given.notes
        sides, size = holes.shape[-2:], self._size(holes.shape[-2:])
        missing = resize_mask(holes, size) if holes.any() else None
        if missing is not None:
            notes.append(note_of_holes(int(holes.sum())))

        def gather(parts: Tensor, kernel: Kernel) -> Tensor:
            whole = self._to_scale(parts, sides, kernel)
            joined = (whole.mean(1) if given.band_by_band else whole[0]).cpu()
            return joined if missing is None else joined.masked_fill(missing, torch.nan)

        pixels = calibration.to_file(gather(sr, "bicubic"))
        if sigma is None:
            return Upscaled(pixels, None, notes)
        return Upscaled(pixels, gather(sigma, "bilinear") / abs(calibration.factor), notes)

    def restore_piece(
        self, bands: Tensor, image: Image, fitted: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Restore a piece of an image, at the model's scale; its borders are those of an image.

        Parameters
        ----------
        bands
            ``(N, channels, h, w)``, in the model's values.
        image
            Says what it is a piece of; its pixels do not matter.
        fitted
            What the stretch measured on the whole image, ``(N, K)``; None without a stretch.

        Returns
        -------
        sr, sigma
            As the network's bands; sigma where it is asked for.
        """
        fits = [None] * len(bands) if fitted is None else list(torch.split(fitted, 1))
        with (
            torch.no_grad(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self._rounded(image)),
        ):
            parts = [
                self._restore(band, image, fitted=fit, side=max(bands.shape[-2:]))
                for band, fit in zip(torch.split(bands, 1), fits, strict=True)
            ]
        sigmas = [sigma for _, sigma in parts if sigma is not None]
        return torch.cat([sr for sr, _ in parts]), torch.cat(sigmas) if sigmas else None

    def tell_of_scatter(self, notes: list[str]) -> None:
        """Say what the uncertainty is of a network that does not predict it."""
        if self.uncertainty and self.model.head is None:
            notes.append(
                "SR is the mean over eight flips and turns, and its uncertainty their scatter, "
                "which is no error bar: the network predicts none"
            )

    def compare_pixels(self, image: Image, notes: list[str]) -> None:
        """Say where the pixels on the sky are not those that the network knows."""
        side, trained = image.metadata.get("pixel_scale"), self.model.quantity.pixel_scale
        if not side or not trained:
            return
        known = trained * self.model.scale
        if abs(side / known - 1) > ALIKE:
            notes.append(
                f"pixels of {side:.3g} arcsec, while the network was trained on {known:.3g}: "
                "its PSF is another"
            )

    def _restore(
        self,
        lr: Tensor,
        image: Image,
        report: Callable[[int, int], None] = lambda done, total: None,
        *,
        fitted: Tensor | None = None,
        side: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Restore ``(N, C, H, W)`` in the model's values, at the model's scale; SR and sigma."""
        lr = lr.to(self.device, memory_format=self._layout)
        view = self.view(lr, image, fitted)
        assert view.seen.lr is not None
        longest, rounded = max(lr.shape[-2:]), self._rounded(image)
        whole = self._fits(longest, side or self.given_tile)
        answer = restore_tiled(
            self._ask,
            view.seen.lr,
            self.model.scale,
            longest if whole else self._side(rounded=rounded),
            lambda: self._needs.margin(rounded=rounded),
            report,
        )
        seen, variance = answer[:, : lr.shape[1]], answer[:, lr.shape[1] :]
        with torch.autocast(self.device.type, enabled=False):  # flux is not to be rounded
            sr = view.to_flux(seen)
            if self.model.constraint is not None:
                sr = self.model.constraint(sr, view.flux)
            if not self.uncertainty:
                return sr, None
            return sr, view.sigma_to_flux(view.to_seen(sr), variance.sqrt())

    def _ask(self, lr: Tensor) -> Tensor:
        """Give SR as the network sees it and, where that is asked for, its variance behind it."""
        head = self.model.head
        if self.self_ensemble or (self.uncertainty and head is None):
            sr, variance = self_ensemble(self._network, lr)
        else:
            sr = variance = self._network(lr).float()
        if not self.uncertainty:
            return sr
        return torch.cat([sr, variance if head is None else head(lr, sr).exp()], 1)

    def view(self, lr: Tensor, image: Image, fitted: Tensor | None = None) -> View:
        """Stretch LR, by what is measured on it unless it is told; HR is only a shape."""
        scale = self.model.scale
        height, width = (scale * side for side in lr.shape[-2:])
        quantity = self.model.quantity
        pixel_scale = image.metadata.get("pixel_scale")
        batch = Batch(
            names=["image"] * len(lr),
            hr=lr.new_zeros(()).expand(*lr.shape[:2], height, width),
            seeds=[0] * len(lr),
            lr=lr,
            data_range=quantity.data_range,
            unit=quantity.unit,
            pixel_scale=pixel_scale / scale if pixel_scale else quantity.pixel_scale,
        )
        stretch = self.model.stretch
        if stretch is None:
            return View(batch, batch)
        fitted = stretch.fit(lr) if fitted is None else fitted.to(lr)
        return View(batch, replace(batch, lr=stretch(lr, fitted)), stretch, fitted)

    def _size(self, sides: torch.Size) -> tuple[int, int]:
        height, width = (resized_side(side, self.scale) for side in sides)
        return height, width

    def _to_scale(self, images: Tensor, sides: torch.Size, kernel: Kernel) -> Tensor:
        """Resize images of the model's scale to the scale asked for."""
        if self.scale == self.model.scale:
            return images
        return resize(
            images, self._size(sides), factor=self.scale / self.model.scale, kernel=kernel
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An image as the network is given it, ``(N, channels, H, W)``, and the way back."""

    holes: Tensor
    calibration: Calibration
    bands: Tensor
    notes: list[str]

    @property
    def band_by_band(self) -> bool:
        return len(self.bands) > 1 or self.bands.shape[1] != len(self.holes)


class _Needs:
    """What tiles a network needs, measured once, when it is asked for."""

    def __init__(
        self, network: nn.Module, run: nn.Module, channels: int, device: torch.device
    ) -> None:
        self._network, self._run, self._on = network, run, (channels, device)
        self._margins: dict[bool, int] = {}

    @cached_property
    def whole(self) -> int:
        """The side of the largest image that is restored at once."""
        return side_that_fits(self._network, *self._on, 0)

    def margin(self, *, rounded: bool) -> int:
        """Give the margin in fp32, or in bf16, which hides what is faint."""
        if rounded not in self._margins:
            device, negligible = self._on[1].type, OF_LEVELS if rounded else NEGLIGIBLE
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=rounded):
                self._margins[rounded] = reach(self._run, *self._on, negligible)
        return self._margins[rounded]

    def tile(self, *, rounded: bool) -> int:
        """Give the side of a tile that fits into memory with its margin."""
        return side_that_fits(self._network, *self._on, self.margin(rounded=rounded))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the values of an image become those that a model was trained on: (x - offset) factor."""

    offset: float
    factor: float
    target: float = 0.0

    def to_model(self, values: Tensor) -> Tensor:
        """Bring values of the image to the model."""
        return (values - self.offset) * self.factor + self.target

    def to_file(self, values: Tensor) -> Tensor:
        """Bring values of the model back to the image's."""
        return (values - self.target) / self.factor + self.offset


def calibrate(image: Image, model: Model) -> Calibration:
    """Choose how an image is brought to the values a model knows.

    A model whose stretch measures each image gets it as it is; one of calibrated fluxes at its own
    zero point; any other gets black and white of the image where those of its training images were.

    Raises
    ------
    DataError
        If the model knows calibrated fluxes, and the image does not say what its values are.
    """
    if model.stretch is not None and model.stretch.unitless:
        return Calibration(0.0, 1.0)
    quantity = model.quantity
    if quantity.zero_point is None:
        low, high = image.data_range
        black, white = quantity.data_range
        return Calibration(low, (white - black) / (high - low), black)
    zero_point = image.metadata.get("zero_point")
    if zero_point is None:
        raise DataError(
            "states no zero point, and the network was trained on calibrated fluxes (AB "
            f"{quantity.zero_point:g}); give the zero point (--zero-point)"
        )
    return Calibration(0.0, 10 ** (0.4 * (quantity.zero_point - zero_point)))


def as_bands(values: Tensor, channels: int | None, notes: list[str]) -> Tensor:
    """Lay out ``(C, H, W)`` for a network of so many channels: ``(N, channels, H, W)``.

    Raises
    ------
    DataError
        If there is no way.
    """
    if channels is None or len(values) == channels:
        return values[None]
    if channels == 1:
        notes.append(f"{len(values)} bands, restored one by one")
        return values[:, None]
    if channels == 3:
        each = "the only band" if len(values) == 1 else f"each of {len(values)} bands"
        notes.append(f"a network for colour: {each} stands in for red, green and blue")
        return values[:, None].expand(-1, 3, -1, -1)
    raise DataError(f"has {len(values)} channels, and the network {channels}")


def note_of_holes(count: int) -> str:
    """Say how many pixels have no value."""
    counted = "1 pixel" if count == 1 else f"{count} pixels"
    return f"{counted} without a value: none in SR either"


def filled(pixels: Tensor, holes: Tensor, medians: Tensor | None = None) -> Tensor:
    """Put each band's median where there is no value; 0 in a band without any."""
    if not holes.any():
        return pixels
    full = pixels.clone()
    for index, (band, bad) in enumerate(zip(full, holes, strict=True)):
        if medians is not None:
            band[bad] = medians[index]
        else:
            band[bad] = band[~bad].median() if not bad.all() else 0.0
    return full
