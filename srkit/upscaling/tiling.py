"""Restore an image of any size tile by tile, without seams and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from srkit.errors import DataError

#: The share of free memory that a tile may take.
SHARE = 0.5
#: The largest and the smallest side of a tile in LR pixels, without its margin.
LARGEST, SMALLEST = 1024, 16
#: The farthest that a network's reach is looked for, in LR pixels.
FARTHEST = 128
#: What counts as no influence, of the range of values; and where a picture of 8 bits is restored in
#: bf16: a quarter of a level.
NEGLIGIBLE, OF_LEVELS = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image, and the larger part that is restored for it.

    Parameters
    ----------
    top, left, bottom, right
        The part in LR pixels.
    margin
        LR pixels around it that are restored with it, as far as the image goes.
    """

    top: int
    left: int
    bottom: int
    right: int
    margin: int

    def cut(self, image: Tensor) -> Tensor:
        """Cut the part with its margin out of ``(..., H, W)``."""
        rows = slice(max(0, self.top - self.margin), self.bottom + self.margin)
        columns = slice(max(0, self.left - self.margin), self.right + self.margin)
        return image[..., rows, columns]

    def place(self, sr: Tensor, whole: Tensor, scale: int) -> None:
        """Put the restored part, without its margin, where it belongs."""
        top, left = (min(edge, self.margin) * scale for edge in (self.top, self.left))
        height, width = (scale * n for n in (self.bottom - self.top, self.right - self.left))
        rows = slice(self.top * scale, self.bottom * scale)
        columns = slice(self.left * scale, self.right * scale)
        whole[..., rows, columns] = sr[..., top : top + height, left : left + width]


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[Tile]:
    """Divide an image of LR pixels into squares, row by row; the last ones may be smaller."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            yield Tile(top, left, bottom, right, margin)


def restore_tiled(
    restore: Callable[[Tensor], Tensor],
    lr: Tensor,
    scale: int,
    side: int,
    margin: Callable[[], int],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Restore ``(N, C, H, W)`` images tile by tile; half the side when memory runs out.

    Parameters
    ----------
    restore
        From LR to SR, of any number of channels; what it makes of a pixel may depend on others at
        most `margin` away.
    lr
        The images.
    scale
        SR pixels for each LR pixel along a side.
    side
        Of a tile in LR pixels, without its margin.
    margin
        Tells how many LR pixels around each tile are restored with it and left out again; asked
        only where there is more than one tile.
    report
        Called with the number of LR pixels done and in all.

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
    sr, done = None, 0
    around = margin() if max(height, width) > side else 0
    for tile in tiles(height, width, side, around):
        for part in _restore_tile(restore, lr, tile, side, margin):
            if sr is None:
                sides = height * scale, width * scale
                sr = lr.new_empty((*part.sr.shape[:-2], *sides), dtype=torch.float32)
            part.tile.place(part.sr, sr, scale)
        done += (tile.bottom - tile.top) * (tile.right - tile.left)
        report(done, height * width)
    assert sr is not None
    return sr


@dataclass(frozen=True, slots=True)
class _Part:
    tile: Tile
    sr: Tensor


def _restore_tile(
    restore: Callable[[Tensor], Tensor],
    lr: Tensor,
    tile: Tile,
    side: int,
    margin: Callable[[], int],
) -> Iterator[_Part]:
    """Restore a tile, or its quarters where it does not fit into memory."""
    try:
        yield _Part(tile, restore(tile.cut(lr)))
        return
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        if side // 2 < SMALLEST:
            raise DataError(
                f"a tile of {side} pixels does not fit into memory; free some, or take a smaller "
                "network"
            ) from error
    if lr.device.type == "cuda":
        torch.cuda.empty_cache()
    half = side // 2
    for quarter in tiles(tile.bottom - tile.top, tile.right - tile.left, half, margin()):
        moved = Tile(
            quarter.top + tile.top,
            quarter.left + tile.left,
            quarter.bottom + tile.top,
            quarter.right + tile.left,
            quarter.margin,
        )
        yield from _restore_tile(restore, lr, moved, half, margin)


def out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out, on a GPU or off."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "allocate memory" in str(error)  # torch's CPU allocator has no type of its own


def reach(
    restore: Callable[[Tensor], Tensor],
    channels: int,
    device: torch.device,
    negligible: float = NEGLIGIBLE,
) -> int:
    """Measure how far away a pixel of LR still changes SR, in LR pixels.

    Random images that agree only within some distance of their centre are restored; where the
    centres of SR agree too, within `negligible` of the range, pixels farther away do not matter.
    The receptive field, which no pixel outside of can matter, is often much wider.

    Returns
    -------
    int
        1, 2, 4 ... up to 128, which is also given where the reach is wider.
    """
    distance = 1
    generator = torch.Generator().manual_seed(0)
    while distance < FARTHEST:
        side = 4 * distance + 1
        first = torch.rand((1, channels, side, side), generator=generator).to(device)
        second = torch.rand((1, channels, side, side), generator=generator).to(device)
        inner = slice(distance, 3 * distance + 1)
        second[..., inner, inner] = first[..., inner, inner]
        a, b = (restore(image).float() for image in (first, second))
        scale = a.shape[-1] // side
        centre = slice(2 * distance * scale, (2 * distance + 1) * scale)
        if float((a - b)[..., centre, centre].abs().max()) <= negligible:
            return distance
        distance *= 2
    return FARTHEST


def side_that_fits(network: nn.Module, channels: int, device: torch.device, margin: int) -> int:
    """Choose the side of a tile, without its margin, by the memory that is free.

    What a pixel takes is estimated from the largest layer: four times its input and output.

    Returns
    -------
    int
        16 to 1024.
    """
    needed = 4 * _bytes_of_largest_layer(network, channels, device)
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available
    whole = int((SHARE * free / needed) ** 0.5)
    return max(SMALLEST, min(LARGEST, whole - 2 * margin))


def _bytes_of_largest_layer(network: nn.Module, channels: int, device: torch.device) -> float:
    """Give the bytes of a layer's input and output for each LR pixel, of the largest layer."""
    side, largest, here = 32, 1, get_ident()

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        if get_ident() != here:
            return  # another thread restores with the same network
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
