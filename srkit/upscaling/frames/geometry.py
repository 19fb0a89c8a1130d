"""Which part of LR a window of SR depends on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from srkit.functional.resizing import Axis, Kernel, nearest_pixels, resize_window

#: First pixel along an axis, and the one after the last.
Span = tuple[int, int]
#: Rows and columns of SR.
Window = tuple[Span, Span]


@dataclass(frozen=True, slots=True)
class Piece:
    """The piece of LR along an axis that some pixels of SR depend on.

    Parameters
    ----------
    lr
        The pixels of LR, with their margin.
    sr
        The pixels of SR.
    native
        Their place in SR of the piece at the model's scale; used if that is the scale.
    first
        First pixel of SR of the piece at the model's scale.
    nearest
        The pixels of the piece at the centres of those of SR.
    axis
        From the model's scale to the requested scale.
    """

    lr: Span
    sr: Span
    native: Span
    first: int
    nearest: Tensor
    axis: Axis


@dataclass(frozen=True, slots=True)
class FrameAxis:
    """An axis of a frame.

    Parameters
    ----------
    side, new_side
        Pixels of LR and of SR.
    model_scale, scale
        The model's scale and the requested one.
    margin
        LR pixels around a window that affect it.
    grid
        Pieces of LR begin at multiples of this number of pixels.
    """

    side: int
    new_side: int
    model_scale: int
    scale: float
    margin: int
    grid: int = 1

    def piece(self, start: int, stop: int) -> Piece:
        """Find the piece of LR for the pixels of SR from `start` up to `stop`."""
        axis = Axis(self.side * self.model_scale, self.scale / self.model_scale)
        same = self.scale == self.model_scale
        native = (start, stop) if same else axis.needed(start, stop, "bicubic")
        top = max(0, native[0] // self.model_scale - self.margin)
        bottom = min(self.side, -(-native[1] // self.model_scale) + self.margin)
        nearest = nearest_pixels(self.side, self.new_side, start, stop)
        # If SR is much smaller than LR, its centres may be outside of what it is computed from.
        top, bottom = min(top, int(nearest.min())), max(bottom, int(nearest.max()) + 1)
        top = top // self.grid * self.grid
        first = top * self.model_scale
        inside = native[0] - first, native[1] - first
        return Piece((top, bottom), (start, stop), inside, first, nearest - top, axis)


@dataclass(frozen=True, slots=True)
class PieceOfFrame:
    """The piece of LR that a window of SR depends on."""

    rows: Piece
    columns: Piece

    def resize(self, sr: Tensor, kernel: Kernel) -> Tensor:
        """Cut the window out of SR of the piece at the model's scale, ``(N, C, H, W)``."""
        rows, columns = self.rows, self.columns
        if rows.axis.factor == 1:
            return sr[..., slice(*rows.native), slice(*columns.native)]
        axes, corner = (rows.axis, columns.axis), (rows.first, columns.first)
        return resize_window(sr, axes, corner, rows.sr, columns.sr, kernel)

    def nearest(self, plane: Tensor) -> Tensor:
        """Select from a plane of the piece, ``(C, h, w)``, the pixels at the centres of SR's."""
        return plane[:, self.rows.nearest[:, None], self.columns.nearest]


def divide(side: int, step: int, scale: float, new_side: int) -> list[Span]:
    """Divide an axis of SR so that each part is that of `step` pixels of LR."""
    edges = {min(new_side, int(start * scale)) for start in range(0, side, step)} | {new_side}
    return list(pairwise(sorted(edges)))
