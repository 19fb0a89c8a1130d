"""Resize images as MATLAB's ``imresize`` does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Batch

Kernel = Literal["nearest", "bilinear", "bicubic", "area", "lanczos"]

#: Width of each kernel, in pixels of the coarser grid.
WIDTHS: dict[str, float] = {"nearest": 1, "bilinear": 2, "bicubic": 4, "area": 1, "lanczos": 6}


def resize(
    images: Tensor,
    size: tuple[int, int] | None = None,
    *,
    factor: float | None = None,
    kernel: Kernel = "bicubic",
    antialias: bool = True,
) -> Tensor:
    """Resize images, differentiably, with the geometry and borders of MATLAB's ``imresize``.

    The centre of output pixel i is at (i + 0.5) / factor in the input. The image is mirrored at
    its borders, and weights are normalised. Floating values are neither rounded nor clipped, so
    bicubic and Lanczos overshoot at edges; the arithmetic is in float32 or better, also under
    autocast. Bytes are rounded after the rows and again after the columns, as in MATLAB.

    Parameters
    ----------
    images
        ``(N, C, H, W)`` of a floating dtype or uint8, which is that of the result, too.
    size
        Height and width of the result; ``ceil(factor * side)`` by default.
    factor
        Output pixels per input pixel on both axes; output side / input side by default. Give
        both if the pixel grids are related by a factor other than the ratio of the sides.
    kernel
        ``bicubic`` is Keys' cubic convolution with a = -0.5, ``lanczos`` has three lobes,
        ``area`` is a box, and ``nearest`` takes one pixel.
    antialias
        Widen the kernel by 1 / factor when shrinking; ``nearest`` is never widened.

    Returns
    -------
    Tensor
        ``(N, C, *size)``.

    Raises
    ------
    ValueError
        If neither size nor factor is given, either is not positive, or the images are not
        four-dimensional.

    References
    ----------
    R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
    Acoustics, Speech, and Signal Processing 29 (1981) 1153.
    """
    if images.ndim != 4:
        raise ValueError(f"expected (N, C, H, W) images, got the shape {tuple(images.shape)}")
    if torch.compiler.is_compiling() and size is None and isinstance(factor, int):
        return _enlarge(images, factor, kernel)  # an exported graph must accept any sides
    sides = images.shape[-2:]
    sizes = _sizes(sides, size, factor)
    factors = [factor or new / old for new, old in zip(sizes, sides, strict=True)]
    whole = images.dtype == torch.uint8
    dtype = torch.float64 if whole else torch.promote_types(images.dtype, torch.float32)
    rows, columns = (
        _weights(old, new, by, kernel, antialias, dtype, images.device)
        for old, new, by in zip(sides, sizes, factors, strict=True)
    )
    with torch.autocast(images.device.type, enabled=False):
        shorter = rows @ images.to(dtype)
        result = (_bytes(shorter) if whole else shorter) @ columns.T
    return (_bytes(result) if whole else result).to(images.dtype)


def to_hr_grid(images: Tensor, batch: Batch, kernel: Kernel = "bicubic") -> Tensor:
    """Resize LR or SR images of a batch to the grid of HR, antialiased.

    With a factor such as 0.32, for which the LR side is rounded up, the grids are aligned by the
    factor instead of the sides.
    """
    assert batch.lr is not None
    height, width = batch.hr.shape[-2:]
    if batch.factor is None:
        same = images.shape[-2:] == (height, width)
        return images if same else resize(images, (height, width), kernel=kernel)
    sides = images.shape[-1] / batch.lr.shape[-1]
    factor = 1 / (batch.factor * sides)
    if images.shape[-2:] == (height, width) and abs(factor - 1) < 1e-6:
        return images
    return resize(images, (height, width), factor=factor, kernel=kernel)


def resize_short_side(pixels: Tensor, short: int) -> Tensor:
    """Resize an image to a short side by torch: bicubic, antialiased, borders not mirrored.

    Floats keep their overshoot. Bytes stay bytes; the result differs by at most 2 levels from that
    of Pillow and torchvision's transforms, and takes a fifth of the time.

    Parameters
    ----------
    pixels
        ``(C, H, W)``, floating or uint8.
    short
        Length of the short side; that of the long side is rounded down.
    """
    height, width = pixels.shape[-2:]
    size = (short * height // min(height, width), short * width // min(height, width))
    if (height, width) == size:
        return pixels
    # torch's own resizing has the same filter as above and is far faster on large images.
    return F.interpolate(pixels[None], size, mode="bicubic", antialias=True)[0]


def _enlarge(images: Tensor, factor: int, kernel: Kernel) -> Tensor:
    """Enlarge floating images of any sides by a whole factor, as a convolution."""
    reach = math.ceil(WIDTHS[kernel] / 2)
    centres = (torch.arange(factor, dtype=torch.float64) + 0.5) / factor - 0.5
    taps = torch.arange(-reach, reach + 1)
    weights = _kernel(centres[:, None] - taps, kernel)
    weights /= weights.sum(1, keepdim=True)
    dtype = torch.promote_types(images.dtype, torch.float32)
    filters = (weights[:, None, :, None] * weights[None, :, None, :]).flatten(0, 1)[:, None]
    count, channels, height, width = images.shape
    rows, columns = (
        mirror_indices(torch.arange(-reach, side + reach, device=images.device), side)
        for side in (height, width)
    )
    with torch.autocast(images.device.type, enabled=False):
        padded = images.to(dtype)[..., rows, :][..., columns]
        found = F.conv2d(padded.flatten(0, 1)[:, None], filters.to(images.device, dtype))
        enlarged = F.pixel_shuffle(found, factor)
    return enlarged.reshape(count, channels, *enlarged.shape[-2:]).to(images.dtype)


def mirror_indices(pixels: Tensor, side: int) -> Tensor:
    """Return the indices of pixels on an axis that is extended by mirroring.

    The pixel at each end is repeated, and the axis is mirrored as often as necessary.

    Parameters
    ----------
    pixels
        Indices of any shape, which can be outside [0, side).
    side
        Length of the axis in pixels.

    Returns
    -------
    Tensor
        Indices in [0, side).
    """
    period = torch.full_like(pixels, 2 * side)  # exported graphs lack the remainder by a number
    inside = pixels.remainder(period)
    return torch.minimum(inside, period - 1 - inside)


def _bytes(values: Tensor) -> Tensor:
    """Round halves up, as MATLAB does, unlike torch."""
    return torch.floor(values + 0.5).clamp(0, 255)


def _sizes(
    sides: torch.Size, size: tuple[int, int] | None, factor: float | None
) -> tuple[int, int]:
    if factor is not None and not factor > 0:
        raise ValueError(f"the factor must be positive, got {factor}")
    if size is None:
        if factor is None:
            raise ValueError("give a size, a factor or both")
        height, width = (resized_side(side, factor) for side in sides)
        return height, width
    if min(size) < 1:
        raise ValueError(f"the size must be positive, got {size}")
    return size


def resized_side(side: int, factor: float) -> int:
    """Return the side of a resized image, ``ceil(factor * side)`` despite float errors."""
    return max(1, math.ceil(factor * side - 1e-6))


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an image that is resized in parts.

    Parameters
    ----------
    side
        Side of the whole image in pixels.
    factor
        Output pixels per input pixel.
    """

    side: int
    factor: float

    def needed(self, start: int, stop: int, kernel: Kernel) -> tuple[int, int]:
        """Return the range of input pixels on which output pixels [start, stop) depend."""
        pixels, _ = _taps(self, kernel, True, start, stop)
        return int(pixels.min()), int(pixels.max()) + 1


def resize_window(
    part: Tensor,
    axes: tuple[Axis, Axis],
    corner: tuple[int, int],
    rows: tuple[int, int],
    columns: tuple[int, int],
    kernel: Kernel,
) -> Tensor:
    """Compute a window of the result of :func:`resize` from a part of the image.

    Parameters
    ----------
    part
        ``(N, C, h, w)``, floating, with at least the pixels that :meth:`Axis.needed` returns.
    axes
        The vertical and the horizontal axis.
    corner
        Row and column of the image at which the part begins.
    rows, columns
        First row and column of the window in the resized image, and those after its last.
    kernel
        As for :func:`resize`.
    """
    matrices = [
        _part_of_weights(axis, kernel, first, side, *ends).to(part.device, torch.float32)
        for axis, first, side, ends in zip(
            axes, corner, part.shape[-2:], (rows, columns), strict=True
        )
    ]
    with torch.autocast(part.device.type, enabled=False):
        return matrices[0] @ part.float() @ matrices[1].T


def resize_mask(mask: Tensor, size: tuple[int, ...] | torch.Size) -> Tensor:
    """Resize flags of any dtype: each pixel gets the flag of the input pixel at its centre.

    Parameters
    ----------
    mask
        ``(..., H, W)``.
    size
        Height and width of the result.
    """
    rows, columns = (
        nearest_pixels(old, new, 0, new) for new, old in zip(size, mask.shape[-2:], strict=True)
    )
    # A mask on the device meta has no values, and its indices must be on its device.
    return mask[..., rows[:, None].to(mask.device), columns.to(mask.device)]


def nearest_pixels(side: int, new_side: int, start: int, stop: int) -> Tensor:
    """Return the input pixels along an axis at the centres of output pixels `start` to `stop`."""
    centres = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * side / new_side
    return centres.long().clamp(max=side - 1)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # the cached tensor can be used in a backward pass later
def _weights(
    side: int,
    new_side: int,
    factor: float,
    kernel: Kernel,
    antialias: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Return the weight of each input pixel in each output pixel, ``(new_side, side)``."""
    axis = Axis(side, factor)
    return _spread(*_taps(axis, kernel, antialias, 0, new_side), side).to(device, dtype)


def _part_of_weights(
    axis: Axis, kernel: Kernel, first: int, side: int, start: int, stop: int
) -> Tensor:
    """Return weights of input pixels from `first` on in output pixels, ``(stop - start, side)``."""
    pixels, weights = _taps(axis, kernel, True, start, stop)
    return _spread(pixels - first, weights, side)


def _spread(pixels: Tensor, weights: Tensor, side: int) -> Tensor:
    matrix = torch.zeros(len(pixels), side, dtype=torch.float64)
    return matrix.scatter_add_(1, pixels, weights)


def _taps(
    axis: Axis, kernel: Kernel, antialias: bool, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """Return the input pixels of each output pixel, and their weights, ``(n, taps)`` each."""
    shrink = min(1.0, axis.factor) if antialias and kernel != "nearest" else 1.0
    width = WIDTHS[kernel] / shrink
    centres = (torch.arange(start, stop, dtype=torch.float64) + 0.5) / axis.factor - 0.5
    taps = torch.arange(math.ceil(width) + 2)
    pixels = torch.floor(centres - width / 2).long()[:, None] + taps
    weights = _kernel((centres[:, None] - pixels) * shrink, kernel)
    weights /= weights.sum(1, keepdim=True)
    return mirror_indices(pixels, axis.side), weights


def _kernel(x: Tensor, kernel: Kernel) -> Tensor:
    """Evaluate a kernel at distances from its centre."""
    distance = x.abs()
    if kernel == "bilinear":
        return (1 - distance).clamp(min=0)
    if kernel == "bicubic":
        near = (1.5 * distance - 2.5) * distance**2 + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        return torch.where(distance <= 1, near, torch.where(distance <= 2, far, 0.0))
    if kernel == "lanczos":
        return torch.where(distance < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)
    # Half open, so that a pixel on the edge counts once; the margin absorbs float errors.
    return ((x >= -0.5 - 1e-9) & (x < 0.5 - 1e-9)).to(x.dtype)
