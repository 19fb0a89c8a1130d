"""Restore an image of any size tile by tile, without seams and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from srkit.errors import DataError
from srkit.system.devices import memory_of, release_memory

#: Share of the free memory that a tile may take.
SHARE = 0.5
#: Largest and smallest side of a tile in LR pixels, without its margin.
LARGEST, SMALLEST = 1024, 16
#: Largest reach of a network that is measured, in LR pixels.
FARTHEST = 128
#: Influence on SR that is neglected, as a fraction of the range of values; and a quarter of a level
#: for 8-bit images, which are restored in bf16.
NEGLIGIBLE, OF_LEVELS = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image, which is restored with a margin.

    Parameters
    ----------
    top, left, bottom, right
        The part in LR pixels.
    margin
        LR pixels around it that are restored with it, inside the image.
    grid
        Its margin begins at a multiple of this number of LR pixels.
    """

    top: int
    left: int
    bottom: int
    right: int
    margin: int
    grid: int = 1

    def begin(self, edge: int) -> int:
        """Return where the margin above or left of the part begins."""
        return max(0, edge - self.margin) // self.grid * self.grid

    def cut(self, image: Tensor) -> Tensor:
        """Cut the part with its margin out of ``(..., H, W)``."""
        rows = slice(self.begin(self.top), self.bottom + self.margin)
        columns = slice(self.begin(self.left), self.right + self.margin)
        return image[..., rows, columns]

    def place(self, sr: Tensor, whole: Tensor, scale: int) -> None:
        """Copy SR of the part, without its margin, into SR of the image."""
        top, left = ((edge - self.begin(edge)) * scale for edge in (self.top, self.left))
        height, width = (scale * n for n in (self.bottom - self.top, self.right - self.left))
        rows = slice(self.top * scale, self.bottom * scale)
        columns = slice(self.left * scale, self.right * scale)
        whole[..., rows, columns] = sr[..., top : top + height, left : left + width]

    def divided(self, side: int, margin: int) -> Iterator[Tile]:
        """Divide the part into squares, row by row; the last ones may be smaller."""
        for top in range(self.top, self.bottom, side):
            for left in range(self.left, self.right, side):
                bottom, right = min(top + side, self.bottom), min(left + side, self.right)
                yield Tile(top, left, bottom, right, margin, self.grid)


def restore_tiled(
    restore: Callable[[Tensor], Tensor],
    lr: Tensor,
    scale: int,
    side: int,
    margin: Callable[[], int],
    report: Callable[[int, int], None] = lambda done, total: None,
    grid: int = 1,
) -> Tensor:
    """Restore ``(N, C, H, W)`` images tile by tile; the side is halved when memory runs out.

    Parameters
    ----------
    restore
        From LR to SR, of any number of channels; each pixel of SR depends on LR pixels at most
        `margin` away.
    lr
        The images.
    scale
        SR pixels per LR pixel along a side.
    side
        Side of a tile in LR pixels, without its margin.
    margin
        Returns the LR pixels around each tile that are restored with it; called only if there is
        more than one tile.
    report
        Receives the number of LR pixels done and in total.
    grid
        Tiles begin at multiples of this number of LR pixels.

    Returns
    -------
    Tensor
        ``(N, channels of SR, scale H, scale W)`` float32, on the device of `lr`.

    Raises
    ------
    DataError
        If even the smallest tile does not fit into memory.
    """
    height, width = lr.shape[-2:]
    whole, done = None, 0
    around = margin() if max(height, width) > side else 0
    for tile in Tile(0, 0, height, width, 0, grid).divided(side, around):
        for part, sr in _restore_tile(restore, lr, tile, side, margin):
            if whole is None:
                sides = height * scale, width * scale
                whole = lr.new_empty((*sr.shape[:-2], *sides), dtype=torch.float32)
            part.place(sr, whole, scale)
        done += (tile.bottom - tile.top) * (tile.right - tile.left)
        report(done, height * width)
    assert whole is not None
    return whole


def _restore_tile(
    restore: Callable[[Tensor], Tensor],
    lr: Tensor,
    tile: Tile,
    side: int,
    margin: Callable[[], int],
) -> Iterator[tuple[Tile, Tensor]]:
    """Restore a tile, or its quarters if it does not fit into memory."""
    try:
        yield tile, restore(tile.cut(lr))
        return
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        if side // 2 < SMALLEST:
            raise DataError(
                f"a tile of {side} pixels does not fit into memory; free some, or use a smaller "
                "network"
            ) from error
    release_memory(lr.device)
    for quarter in tile.divided(side // 2, margin()):
        yield from _restore_tile(restore, lr, quarter, side // 2, margin)


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Plain errors of torch's CPU allocator and of its MPS backend.
    return "allocate memory" in str(error) or "out of memory" in str(error)


def reach(
    restore: Callable[[Tensor], Tensor],
    channels: int,
    device: torch.device,
    negligible: float = NEGLIGIBLE,
    grid: int = 1,
) -> int:
    """Measure the distance at which a pixel of LR still affects SR, in LR pixels.

    Two random images that agree only within some distance of their centre are restored. If the
    centres of SR agree too, within `negligible` of the range, pixels farther away have no effect.
    The receptive field is an upper limit, and often much wider. The centre is a cell of `grid`
    pixels, since the pixels of a window reach differently far.

    Returns
    -------
    int
        `grid` times 1, 2, 4 ... up to 128 or a little more, which is also returned if the reach is
        wider.
    """
    distance = grid
    generator = torch.Generator().manual_seed(0)
    while distance < FARTHEST:
        side = 4 * distance + grid
        first = torch.rand((1, channels, side, side), generator=generator).to(device)
        second = torch.rand((1, channels, side, side), generator=generator).to(device)
        inner = slice(distance, 3 * distance + grid)
        second[..., inner, inner] = first[..., inner, inner]
        a, b = (restore(image).float() for image in (first, second))
        scale = a.shape[-1] // side
        centre = slice(2 * distance * scale, (2 * distance + grid) * scale)
        if float((a - b)[..., centre, centre].abs().max()) <= negligible:
            return distance
        distance *= 2
    return distance


def side_that_fits(network: nn.Module, channels: int, device: torch.device, margin: int) -> int:
    """Choose the side of a tile, without its margin, by the free memory.

    The memory per pixel is estimated from the largest layer: four times its input and output.

    Returns
    -------
    int
        16 to 1024.
    """
    needed = 4 * _bytes_of_largest_layer(network, channels, device)
    whole = int((SHARE * memory_of(device) / needed) ** 0.5)
    return max(SMALLEST, min(LARGEST, whole - 2 * margin))


def _bytes_of_largest_layer(network: nn.Module, channels: int, device: torch.device) -> float:
    """Return the bytes per LR pixel of the input and output of the largest layer."""
    side, largest, here = 32, 1, get_ident()

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        if get_ident() != here:
            return  # another thread uses the same network
        tensors = [t for t in (*inputs, output) if isinstance(t, Tensor)]
        largest = max(largest, sum(t.numel() * t.element_size() for t in tensors))

    leaves = [m for m in network.modules() if not list(m.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.no_grad():
            network(torch.zeros(1, channels, side, side, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return largest / side**2
