"""Restore a frame that is larger than the memory, window by window, equal to the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.functional.resizing import Axis, Kernel, nearest_pixels, resize_window, resized_side
from srkit.interfaces import FrameStretch, Image, ImageSource, Upscaled
from srkit.upscaling.frames.survey import Survey, bands, survey
from srkit.upscaling.images import describe_source, finish_image, history
from srkit.upscaling.opacity import coloured, is_even, multiplied
from srkit.upscaling.tiling import reach
from srkit.upscaling.upscaler import (
    Calibration,
    ImageUpscaler,
    as_bands,
    calibrate,
    filled,
    note_of_holes,
)

#: LR values of a strip, with all its channels, that are read at once; their number bounds memory.
BAND = 2**25
#: Values that are read at once: large pieces of memory that come and go break it into fragments.
READ = 2**21
#: The largest side of a window in LR pixels, unless the user says otherwise.
LARGEST = 512

Span = tuple[int, int]
#: Rows and columns of SR.
Window = tuple[Span, Span]
#: What a stretch measured on the colours of a frame, and on its opacity.
Fitted = tuple[Tensor | None, Tensor | None]


@dataclass(frozen=True, slots=True)
class RestoredWindow:
    """A window of SR.

    Parameters
    ----------
    top, left
        Where it begins in SR.
    image
        As its format writes it.
    total, count
        Sum and number of the values that are not NaN, before the format changes their unit.
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
        What restores.
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
        known: Survey | None = None,
        side: int | None = None,
        fitted: Fitted = (None, None),
    ) -> None:
        known = known or survey(source)
        self.source, self.upscaler, self.metadata, self.known = source, upscaler, metadata, known
        self._format, self._lines = image_format, history(upscaler, metadata)
        outline = replace(source.outline, data_range=known.data_range)
        self.outline = describe_source(outline, image_format, metadata)
        self._notes: list[str] = []
        upscaler.compare_pixels(self.outline, self._notes)
        upscaler.tell_of_scatter(self._notes)
        self._colours = _Layer(upscaler, self.outline, self._values, self._frame, fitted[0])
        as_bands(self.outline.pixels, upscaler.model.channels, self._notes)
        self._opacity = None
        if known.opacity is not None:
            mask = Image(
                self.outline.metadata["alpha"],
                (0.0, 1.0),
                {"bits": self.outline.metadata.get("bits")},
            )
            self._opacity = _Layer(upscaler, mask, _alpha, self._frame, fitted[1])
        self.side = side or upscaler.given_tile or min(upscaler.tile, LARGEST)
        self._height, self._width = self.outline.pixels.shape[-2:]
        self._held: dict[str, Tensor] = {}
        self._strip: tuple[Span, Image] | None = None

    @property
    def fitted(self) -> Fitted:
        """What the stretch measures on the whole frame, of its colours and of its opacity."""
        return self._colours.fitted, None if self._opacity is None else self._opacity.fitted

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of SR."""
        height, width = (
            resized_side(side, self.upscaler.scale) for side in (self._height, self._width)
        )
        return height, width

    def strips(self) -> list[Span]:
        """Divide the rows of SR: each strip is that of as many rows of LR, but for the last."""
        width = len(self.outline.pixels) * self._width
        rows = max(1, min(self.side, BAND // width))
        return _divided(self._height, rows, self.upscaler.scale, self.size[0])

    def windows(self, strip: Span) -> list[Window]:
        """Divide a strip from left to right."""
        columns = _divided(self._width, self.side, self.upscaler.scale, self.size[1])
        return [(strip, ends) for ends in columns]

    def restore(self, window: Window) -> RestoredWindow:
        """Restore a window; the rows that it needs are kept for its neighbours."""
        strip, ends = window
        rows, columns = self._axis(0).piece(*strip), self._axis(1).piece(*ends)
        if self._strip is None or self._strip[0] != strip:
            self._strip = strip, self._read(*rows.outer)
        piece = _cut(self._strip[1], columns.outer)
        upscaled, alpha = self._restore_piece(piece, rows, columns)
        count = upscaled.pixels.numel() - int(upscaled.pixels.isnan().sum())
        total = float(upscaled.pixels.nansum(dtype=torch.float64))
        lr = self._beside(piece, rows, columns)
        image = finish_image(lr, self._format, self.upscaler, self._lines, upscaled, alpha)
        return RestoredWindow(strip[0], ends[0], image, total, count)

    def _read(self, start: int, stop: int) -> Image:
        """Read rows into memory that is used again for the next ones."""
        step = max(1, READ // (len(self.outline.pixels) * self._width))
        for top in range(start, stop, step):
            part = self.source.rows(top, min(top + step, stop))
            for name, plane in _planes(part).items():
                held = self._held.get(name)
                if held is None or held.shape[1] < stop - start:
                    # The first strip has no margin above it.
                    room = min(self._height, stop - start + self._margin)
                    held = self._held[name] = plane.new_empty(len(plane), room, self._width)
                held[:, top - start : top - start + plane.shape[1]] = plane
        given = {name: held[:, : stop - start] for name, held in self._held.items()}
        return _with_planes(part, given)

    def described(self, total: float, count: int) -> tuple[Image, list[str]]:
        """Give SR without its values, and what the user should know of it.

        Parameters
        ----------
        total, count
            Of all windows of SR; no count before they are restored.
        """
        known, notes = self.known, [*self._notes]
        if known.holes:
            notes.append(note_of_holes(known.holes))
        change = 0.0
        if count and known.scatter > 0:
            change = (total / count - known.mean) / known.scatter
        pixels = torch.empty(len(self.outline.pixels), *self.size, device="meta")
        sigma = torch.empty_like(pixels) if self.upscaler.uncertainty else None
        alpha = None if known.opacity is None else pixels[:1]
        upscaled = Upscaled(pixels, sigma, notes, change)
        sr = finish_image(self.outline, self._format, self.upscaler, self._lines, upscaled, alpha)
        told = self.outline.metadata.get("notes", []), notes, sr.metadata.get("notes", [])
        return sr, [note for some in told for note in some]

    def _restore_piece(
        self, piece: Image, rows: _Piece, columns: _Piece
    ) -> tuple[Upscaled, Tensor | None]:
        pixels, sigma = self._colours.restore(piece, rows, columns)
        pixels = self._with_holes(pixels, piece, rows, columns)
        if sigma is not None:
            sigma = self._with_holes(sigma, piece, rows, columns)
        upscaled = Upscaled(pixels, sigma, change=0.0)
        if self._opacity is None:
            return upscaled, None
        alpha, _ = self._opacity.restore(piece, rows, columns)
        given = piece.metadata["alpha"]
        nearest = slice(None), rows.nearest[:, None], columns.nearest
        alpha = torch.where(is_even(given)[nearest], given[nearest], alpha)
        shown = coloured(pixels, alpha, self.outline.data_range[0])
        return replace(upscaled, pixels=shown), alpha.clamp(0, 1)

    def _with_holes(self, sr: Tensor, piece: Image, rows: _Piece, columns: _Piece) -> Tensor:
        if not self.known.holes:
            return sr
        holes = ~piece.pixels.isfinite()
        return sr.masked_fill(holes[:, rows.nearest[:, None], columns.nearest], torch.nan)

    def _beside(self, piece: Image, rows: _Piece, columns: _Piece) -> Image:
        """Give the metadata of a window, in which planes have the size of SR already."""
        metadata = dict(self.outline.metadata)
        if "mask" in metadata:
            flags = piece.metadata["mask"]
            metadata["mask"] = flags[:, rows.nearest[:, None], columns.nearest]
        return replace(self.outline, pixels=piece.pixels, metadata=metadata)

    def _values(self, part: Image) -> Tensor:
        """Give the finite values of a part, as far as they are seen."""
        pixels = part.pixels.float()
        alpha = part.metadata.get("alpha")
        if alpha is not None:
            return multiplied(pixels, alpha, self.outline.data_range[0])
        return filled(pixels, ~pixels.isfinite(), self.known.medians)

    def _frame(self) -> Iterator[Image]:
        return bands(self.source)

    @cached_property
    def _margin(self) -> int:
        """LR pixels around a window that matter to it: to the network, and to the constraint."""
        model = self.upscaler.model
        margin = self.upscaler.margin
        if model.constraint is None:
            return margin
        return margin + _reach_of_constraint(self.upscaler, self.outline, self._colours.fitted)

    def _axis(self, axis: int) -> _FrameAxis:
        upscaler = self.upscaler
        return _FrameAxis(
            (self._height, self._width)[axis],
            self.size[axis],
            upscaler.model.scale,
            upscaler.scale,
            self._margin,
        )


class _Layer:
    """What of a frame goes through the network at once: its colours, or its opacity."""

    def __init__(
        self,
        upscaler: ImageUpscaler,
        outline: Image,
        values: Callable[[Image], Tensor],
        frame: Callable[[], Iterator[Image]],
        fitted: Tensor | None,
    ) -> None:
        self._upscaler, self._outline = upscaler, outline
        self._values, self._frame, self._known = values, frame, fitted
        self._calibration: Calibration = calibrate(outline, upscaler.model)

    @cached_property
    def fitted(self) -> Tensor | None:
        """What the stretch measures on the whole frame."""
        stretch = self._upscaler.model.stretch
        if stretch is None or self._known is not None:
            return self._known
        assert isinstance(stretch, FrameStretch)  # otherwise frames are restored whole
        return stretch.fit_parts(lambda: (self._bands(part) for part in self._frame()))

    def restore(self, piece: Image, rows: _Piece, columns: _Piece) -> tuple[Tensor, Tensor | None]:
        """Restore a window, ``(C, H, W)`` in the values of the file, from LR with its margin."""
        given = self._bands(piece)
        sr, sigma = self._upscaler.restore_piece(given, self._outline, self.fitted)
        pixels = self._calibration.to_file(self._gather(sr, rows, columns, "bicubic"))
        if sigma is None:
            return pixels, None
        spread = self._gather(sigma, rows, columns, "bilinear")
        return pixels, spread / abs(self._calibration.factor)

    def _bands(self, part: Image) -> Tensor:
        values = self._calibration.to_model(self._values(part))
        return as_bands(values, self._upscaler.model.channels, [])

    def _gather(self, sr: Tensor, rows: _Piece, columns: _Piece, kernel: Kernel) -> Tensor:
        if self._upscaler.scale == self._upscaler.model.scale:
            window = sr[..., slice(*rows.native), slice(*columns.native)]
        else:
            window = resize_window(
                sr,
                (rows.axis, columns.axis),
                (rows.first, columns.first),
                rows.result,
                columns.result,
                kernel,
            )
        channels = len(self._outline.pixels)
        apart = len(window) > 1 or window.shape[1] != channels
        return (window.mean(1) if apart else window[0]).cpu()


def _alpha(part: Image) -> Tensor:
    alpha: Tensor = part.metadata["alpha"]
    return alpha


@dataclass(frozen=True, slots=True)
class _Piece:
    """The piece of LR along an axis that some pixels of SR are made of.

    Parameters
    ----------
    outer
        Where it begins and ends in LR, margin included.
    result
        The pixels of SR.
    native
        Where they lie in SR of the piece at the model's scale, if that is the scale.
    first
        Where SR of the piece begins, at the model's scale.
    nearest
        The pixels of the piece that the centres of those of SR lie in.
    axis
        From the model's scale to the scale that is asked for.
    """

    outer: Span
    result: Span
    native: Span
    first: int
    nearest: Tensor
    axis: Axis


@dataclass(frozen=True, slots=True)
class _FrameAxis:
    side: int
    new_side: int
    own_scale: int
    scale: float
    margin: int

    def piece(self, start: int, stop: int) -> _Piece:
        """Find the piece for the pixels of SR from `start` up to `stop`."""
        axis = Axis(self.side * self.own_scale, self.scale / self.own_scale)
        same = self.scale == self.own_scale
        native = (start, stop) if same else axis.needed(start, stop, "bicubic")
        top = max(0, native[0] // self.own_scale - self.margin)
        bottom = min(self.side, -(-native[1] // self.own_scale) + self.margin)
        nearest = nearest_pixels(self.side, self.new_side, start, stop)
        # Where SR is much smaller than LR, its centres may lie beside what it is made of.
        top, bottom = min(top, int(nearest.min())), max(bottom, int(nearest.max()) + 1)
        first = top * self.own_scale
        inside = native[0] - first, native[1] - first
        return _Piece((top, bottom), (start, stop), inside, first, nearest - top, axis)


def _divided(side: int, step: int, scale: float, new_side: int) -> list[Span]:
    """Divide the pixels of SR as `step` of LR divide LR."""
    edges = {min(new_side, int(start * scale)) for start in range(0, side, step)} | {new_side}
    ordered = sorted(edges)
    return list(pairwise(ordered))


def _planes(part: Image) -> dict[str, Tensor]:
    """Give what an image has for each pixel, by name."""
    found = {name: part.metadata[name] for name in ("alpha", "mask") if name in part.metadata}
    return {"pixels": part.pixels, **found}


def _with_planes(part: Image, planes: Mapping[str, Tensor]) -> Image:
    rest = {name: plane for name, plane in planes.items() if name != "pixels"}
    return replace(part, pixels=planes["pixels"], metadata={**part.metadata, **rest})


def _cut(band: Image, columns: Span) -> Image:
    """Cut columns out of rows, planes included."""
    inner = slice(*columns)
    return _with_planes(band, {name: plane[..., inner] for name, plane in _planes(band).items()})


def _reach_of_constraint(upscaler: ImageUpscaler, image: Image, fitted: Tensor | None) -> int:
    """Measure how far a pixel of LR changes SR through the constraint, in LR pixels."""
    model = upscaler.model
    channels = model.channels or len(image.pixels)
    one = None if fitted is None else fitted[:1]

    def constrain(lr: Tensor) -> Tensor:
        # Any SR would do that depends on the pixel itself, and that the constraint must change.
        sr = F.interpolate(lr.square() / 2, scale_factor=model.scale, mode="nearest")
        assert model.constraint is not None
        return model.constraint(sr, upscaler.view(lr, image, one).flux)

    with torch.no_grad():
        return reach(constrain, channels, upscaler.device)
