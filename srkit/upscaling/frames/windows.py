"""Restore a frame that is larger than memory window by window, with the result of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.functional.resizing import resized_side
from srkit.interfaces import FrameStretch, Image, ImageSource, Upscaled
from srkit.upscaling.alpha import is_uniform, premultiplied, unpremultiplied
from srkit.upscaling.familiarity import central, differences, sample_of
from srkit.upscaling.frames.geometry import FrameAxis, PieceOfFrame, Span, Window, divide
from srkit.upscaling.frames.statistics import FrameStatistics, frame_statistics, read_bands
from srkit.upscaling.holes import REACH, AllValues, interpolated, marks, note_on_holes, unusable
from srkit.upscaling.images import describe_source, finish_image, history
from srkit.upscaling.normalisation import Normalisation
from srkit.upscaling.tiling import reach
from srkit.upscaling.upscaler import ImageUpscaler, joined

#: LR values of a strip, with all its channels; the memory depends on it.
BAND = 2**25
#: Values that are read at once: large blocks that come and go fragment memory.
READ = 2**21
#: Rows that are read at once to measure a frame.
READ_ROWS = 64
#: Largest side of a window in LR pixels by default.
LARGEST = 512

#: What a stretch measured on the colours of a frame, and on its opacity.
Fitted = tuple[Tensor | None, Tensor | None]


@dataclass(frozen=True, slots=True)
class RestoredWindow:
    """A window of SR.

    Parameters
    ----------
    top, left
        Its first row and column in SR.
    image
        The image, as its format writes it.
    total, count
        Sum and number of the values that are not NaN, before the format converts them.
    """

    top: int
    left: int
    image: Image
    total: float
    count: int


class FrameUpscaler:
    """Restores the windows of one frame.

    Parameters
    ----------
    upscaler
        Restores images.
    source
        The frame.
    image_format
        The format of the source.
    metadata
        Metadata that the user states, such as ``zero_point``.
    known
        Statistics of the source; by default they are computed.
    side
        Side of a window in LR pixels; by default the upscaler's tile, up to 512.
    fitted
        What the stretch measures on the colours and the opacity of the whole frame; by default it
        is measured. See :attr:`fitted`.

    Raises
    ------
    DataError
        As :meth:`ImageUpscaler.__call__` does.
    """

    def __init__(
        self,
        upscaler: ImageUpscaler,
        source: ImageSource,
        image_format: object,
        metadata: Mapping[str, Any],
        known: FrameStatistics | None = None,
        side: int | None = None,
        fitted: Fitted = (None, None),
    ) -> None:
        source = AllValues(source) if upscaler.interpolates else source
        self.upscaler, self.source, self.metadata = upscaler, source, metadata
        self.known = known = known or frame_statistics(source)
        self._format, self._lines = image_format, history(upscaler, metadata)
        outline = replace(source.outline, data_range=known.data_range)
        self.outline = describe_source(outline, image_format, metadata)
        self._colours = _Layer(upscaler, self.outline, self._values, source, fitted[0])
        self._opacity = None
        if known.opacity is not None:
            bits = {"bits": self.outline.metadata.get("bits")}
            mask = Image(self.outline.metadata["alpha"], (0.0, 1.0), bits)
            self._opacity = _Layer(upscaler, mask, _alpha, source, fitted[1])
        network = upscaler.network
        self.side = side or network.given_tile or min(network.tile(), LARGEST)
        self._height, self._width = self.outline.pixels.shape[-2:]
        self._buffers: dict[str, Tensor] = {}
        self._strip: tuple[Span, Image] | None = None

    @property
    def fitted(self) -> Fitted:
        """What the stretch measures on the whole frame, of its colours and of its opacity."""
        return self._colours.fitted, None if self._opacity is None else self._opacity.fitted

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of SR."""
        scale = self.upscaler.scale
        return resized_side(self._height, scale), resized_side(self._width, scale)

    def strips(self) -> list[Span]:
        """Divide the rows of SR into strips."""
        width = len(self.outline.pixels) * self._width
        rows = max(1, min(self.side, BAND // width))
        return divide(self._height, rows, self.upscaler.scale, self.size[0])

    def windows(self, strip: Span) -> list[Window]:
        """Divide a strip into windows, from left to right."""
        columns = divide(self._width, self.side, self.upscaler.scale, self.size[1])
        return [(strip, span) for span in columns]

    def restore(self, window: Window) -> RestoredWindow:
        """Restore a window; the rows that it needs are kept for the other windows of its strip."""
        strip, span = window
        place = PieceOfFrame(self._axis(0).piece(*strip), self._axis(1).piece(*span))
        if self._strip is None or self._strip[0] != strip:
            self._strip = strip, self._read(*place.rows.lr)
        piece = _cut(self._strip[1], place.columns.lr)
        upscaled, alpha = self._restore(piece, place)
        known = ~upscaled.pixels.isnan()
        known = known if upscaled.marks is None else known & (upscaled.marks != 1)
        count = int(known.sum())
        total = float(upscaled.pixels.where(known, 0).sum(dtype=torch.float64))
        lr = self._beside(piece, place)
        image = finish_image(lr, self._format, self.upscaler, self._lines, upscaled, alpha)
        return RestoredWindow(strip[0], span[0], image, total, count)

    def _read(self, start: int, stop: int) -> Image:
        """Read rows into buffers that are used again for the next ones."""
        step = max(1, READ // (len(self.outline.pixels) * self._width))
        for top in range(start, stop, step):
            part = self.source.rows(top, min(top + step, stop))
            for name, plane in _planes(part).items():
                buffer = self._buffers.get(name)
                if buffer is None or buffer.shape[1] < stop - start:
                    # The first strip has no margin above it.
                    rows = min(self._height, stop - start + self._margin)
                    buffer = self._buffers[name] = plane.new_empty(len(plane), rows, self._width)
                buffer[:, top - start : top - start + plane.shape[1]] = plane
        rows_read = {name: buffer[:, : stop - start] for name, buffer in self._buffers.items()}
        return _with_planes(part, rows_read)

    def describe(self, total: float = 0.0, count: int = 0) -> tuple[Image, list[str]]:
        """Return SR without its values, and messages for the user.

        Parameters
        ----------
        total, count
            Sums over all windows of SR; no count before they are restored.
        """
        known, notes = self.known, self.upscaler.notes_on(self.outline)
        notes += self._differences
        if known.holes:
            notes.append(note_on_holes(known.holes))
        change = 0.0
        if count and known.mean_absolute > 0:
            change = (total / count - known.mean) / known.mean_absolute
        pixels = torch.empty(len(self.outline.pixels), *self.size, device="meta")
        sigma = torch.empty_like(pixels) if self.upscaler.network.uncertainty else None
        alpha = None if known.opacity is None else pixels[:1]
        marked = pixels.to(torch.uint8) if known.unusable else None
        upscaled = Upscaled(pixels, sigma, notes, change, marked)
        sr = finish_image(self.outline, self._format, self.upscaler, self._lines, upscaled, alpha)
        all_notes = self.outline.metadata.get("notes", []), notes, sr.metadata.get("notes", [])
        return sr, [note for some in all_notes for note in some]

    def _restore(self, piece: Image, place: PieceOfFrame) -> tuple[Upscaled, Tensor | None]:
        pixels, sigma = self._colours.restore(piece, place)
        if self.known.holes:
            holes = place.nearest(~piece.pixels.isfinite())
            pixels = pixels.masked_fill(holes, torch.nan)
            sigma = None if sigma is None else sigma.masked_fill(holes, torch.nan)
        marked = None
        if self.known.unusable:
            radius = self.upscaler.network.core_radius
            marked = place.nearest(marks(unusable(piece), radius))
        upscaled = Upscaled(pixels, sigma, change=0.0, marks=marked)
        if self._opacity is None:
            return upscaled, None
        alpha, _ = self._opacity.restore(piece, place)
        given = piece.metadata["alpha"]
        alpha = torch.where(place.nearest(is_uniform(given)), place.nearest(given), alpha)
        colours = unpremultiplied(pixels, alpha, self.outline.data_range[0])
        return replace(upscaled, pixels=colours), alpha.clamp(0, 1)

    def _beside(self, piece: Image, place: PieceOfFrame) -> Image:
        """Return the metadata of a window, in which planes have the size of SR already."""
        metadata = dict(self.outline.metadata)
        if "mask" in metadata:
            metadata["mask"] = place.nearest(piece.metadata["mask"])
        return replace(self.outline, pixels=piece.pixels, metadata=metadata)

    @cached_property
    def _differences(self) -> list[str]:
        """Describe how the frame differs from the images of the training."""
        model = self.upscaler.model
        if model.quantity.lr is None:
            return []
        rows = central(self._height)
        parts = [
            sample_of(self.source.rows(top, min(top + READ_ROWS, rows.stop)))
            for top in range(rows.start, rows.stop, READ_ROWS)
        ]
        form = Normalisation.of(self.outline, model)
        return differences(torch.cat(parts, 1), self.known.extremes, form, model)

    def _values(self, part: Image) -> Tensor:
        """Return the values of a part, premultiplied by the opacity, or with holes filled."""
        pixels = part.pixels.float()
        alpha = part.metadata.get("alpha")
        if alpha is not None:
            return premultiplied(pixels, alpha, self.outline.data_range[0])
        return interpolated(pixels, unusable(part), self.known.medians)

    @cached_property
    def _margin(self) -> int:
        """LR pixels around a window that affect it through the network and the constraint."""
        margin = self.upscaler.network.margin()
        if self.known.unusable:
            margin = max(margin, self.upscaler.network.core_radius) + REACH
        if self.upscaler.model.constraint is None:
            return margin
        return margin + _reach_of_constraint(self.upscaler, self.outline, self._colours.fitted)

    def _axis(self, axis: int) -> FrameAxis:
        side, new_side = (self._height, self._width)[axis], self.size[axis]
        upscaler = self.upscaler
        return FrameAxis(
            side,
            new_side,
            upscaler.model.scale,
            upscaler.scale,
            self._margin,
            upscaler.network.grid,
        )


class _Layer:
    """The part of a frame that passes through the network at once: its colours or its opacity."""

    def __init__(
        self,
        upscaler: ImageUpscaler,
        outline: Image,
        values: Callable[[Image], Tensor],
        source: ImageSource,
        fitted: Tensor | None,
    ) -> None:
        self._upscaler, self._outline = upscaler, outline
        self._values, self._source, self._known = values, source, fitted
        self._normalisation = Normalisation.of(outline, upscaler.model)
        self._normalisation.apply(outline.pixels)  # raises if the channels do not fit

    @cached_property
    def fitted(self) -> Tensor | None:
        """What the stretch measures on the whole frame."""
        stretch = self._upscaler.model.stretch
        if stretch is None or self._known is not None:
            return self._known
        assert isinstance(stretch, FrameStretch)  # otherwise frames are restored whole
        return stretch.fit_parts(
            lambda: (
                self._bands(part)[..., inner, :] for part, inner in read_bands(self._source, REACH)
            )
        )

    def restore(self, piece: Image, place: PieceOfFrame) -> tuple[Tensor, Tensor | None]:
        """Restore a window, ``(C, H, W)`` in the values of the file, from LR with its margin."""
        bands = torch.split(self._bands(piece), 1)
        fits = [None] * len(bands) if self.fitted is None else torch.split(self.fitted, 1)
        sr, sigma = joined(
            self._upscaler.network.restore(
                band,
                precision=self._upscaler.precision_for(self._outline),
                pixel_scale=self._outline.metadata.get("pixel_scale"),
                fitted=fit,
                piece=True,
            )
            for band, fit in zip(bands, fits, strict=True)
        )

        pixels = self._normalisation.invert(place.resize(sr, "bicubic"))
        if sigma is None:
            return pixels, None
        return pixels, self._normalisation.invert_sigma(place.resize(sigma, "bilinear"))

    def _bands(self, part: Image) -> Tensor:
        return self._normalisation.apply(self._values(part))


def _alpha(part: Image) -> Tensor:
    alpha: Tensor = part.metadata["alpha"]
    return alpha


def _planes(part: Image) -> dict[str, Tensor]:
    """Return the pixels of an image and its planes, by name."""
    names = ("alpha", "mask", "unusable")
    found = {name: part.metadata[name] for name in names if name in part.metadata}
    return {"pixels": part.pixels, **found}


def _with_planes(part: Image, planes: Mapping[str, Tensor]) -> Image:
    rest = {name: plane for name, plane in planes.items() if name != "pixels"}
    return replace(part, pixels=planes["pixels"], metadata={**part.metadata, **rest})


def _cut(band: Image, columns: Span) -> Image:
    """Cut columns out of rows, with their planes."""
    inner = slice(*columns)
    return _with_planes(band, {name: plane[..., inner] for name, plane in _planes(band).items()})


def _reach_of_constraint(upscaler: ImageUpscaler, image: Image, fitted: Tensor | None) -> int:
    """Measure how far a pixel of LR affects SR through the constraint, in LR pixels."""
    model = upscaler.model
    channels = model.channels or len(image.pixels)
    one = None if fitted is None else fitted[:1]
    pixel_scale = image.metadata.get("pixel_scale")

    def constrain(lr: Tensor) -> Tensor:
        # Any SR serves that depends on the pixel itself and that the constraint has to change.
        sr = F.interpolate(lr.square() / 2, scale_factor=model.scale, mode="nearest")
        assert model.constraint is not None
        return model.constraint(sr, upscaler.network.view(lr, pixel_scale, one).flux)

    with torch.no_grad():
        return reach(constrain, channels, upscaler.network.device)
