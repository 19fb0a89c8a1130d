"""JPEG compression: by Pillow on the CPU; elsewhere a batched equivalent of libjpeg.

Baseline 8-bit JPEG (ITU-T T.81) as in JFIF files: YCbCr, chroma subsampled by 2 along both axes
(4:2:0), 8 x 8 cosine transforms, the quantisation tables of T.81's annex K scaled by libjpeg's
quality, and libjpeg's smooth upsampling of the chroma. Entropy coding is lossless and omitted.

By hand, since kornia's ``jpeg_codec_differentiable`` is designed for gradients: its soft rounding
and plain chroma upsampling deviate from libjpeg by 1.1 to 1.5 grey levels on average.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8
#: Height and width.
Size = tuple[int, int]
Table = tuple[tuple[int, ...], ...]

#: T.81, tables K.1 (luminance) and K.2 (chrominance).
LUMINANCE: Table = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE: Table = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
#: JFIF 1.02: from RGB to Y, Cb and Cr, and back.
TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def through_files(images: Sequence[Tensor], qualities: Sequence[int]) -> list[Tensor]:
    """Compress and decompress images on the CPU by Pillow, like :func:`compress`."""
    check_channels(images[0].shape[0])
    made = []
    for image, quality in zip(images, qualities, strict=True):
        levels = image.mul(255).round_().clamp_(0, 255).to(torch.uint8).movedim(0, -1)
        file = io.BytesIO()
        PIL.Image.fromarray(levels.squeeze(-1).numpy()).save(file, "JPEG", quality=quality)
        with PIL.Image.open(file) as picture:
            decoded = torch.from_numpy(np.array(picture)).view(levels.shape).movedim(-1, 0)
        made.append(decoded.to(image.dtype, memory_format=torch.contiguous_format).div_(255))
    return made


def compress(images: Sequence[Tensor], qualities: Sequence[int]) -> list[Tensor]:
    """Compress and decompress images on any device, within a quarter of a grey level of libjpeg.

    Parameters
    ----------
    images
        N images ``(C, h, w)`` in [0, 1], RGB or grey, each of its own size; values outside are
        clipped.
    qualities
        libjpeg's quality for each, from 1 to 100.

    Returns
    -------
    list of Tensor
        Images of the sizes of `images`: integer grey levels / 255.

    Raises
    ------
    ValueError
        If the images do not have one or three channels.
    """
    channels = images[0].shape[0]
    check_channels(channels)
    sizes = [(image.shape[1], image.shape[2]) for image in images]
    # A block of subsampled chroma covers 16 pixels.
    height, width = (-(-max(sides) // 16) * 16 for sides in zip(*sizes, strict=True))
    canvas = images[0].new_zeros(len(images), channels, height, width, dtype=torch.float32)
    for place, image in zip(canvas, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    levels = _hold(canvas.mul_(255).round_().clamp_(0, 255), sizes)
    quality = torch.tensor(qualities, dtype=torch.float32, device=canvas.device)
    with torch.autocast(canvas.device.type, enabled=False):
        if channels == 3:
            result = _colour(levels, sizes, quality)
        else:
            result = _code(levels, quantisation(LUMINANCE, quality))
    return [
        coded[:, :rows, :columns].to(image.dtype)
        for coded, image, (rows, columns) in zip(result.div_(255), images, sizes, strict=True)
    ]


def check_channels(channels: int) -> None:
    """Check that a JPEG file can hold the images."""
    if channels not in (1, 3):
        raise ValueError(f"a JPEG file has 1 or 3 channels; these images have {channels}")


def quantisation(table: Table, qualities: Tensor) -> Tensor:
    """Scale a table for each quality like libjpeg: ``(N, 8, 8)``."""
    percent = torch.where(qualities < 50, (5000 / qualities).floor(), 200 - 2 * qualities)
    plain = torch.tensor(table, dtype=percent.dtype, device=percent.device)
    return ((plain * percent[:, None, None] + 50) / 100).floor().clamp(1, 255)


def _colour(levels: Tensor, sizes: Sequence[Size], qualities: Tensor) -> Tensor:
    """Encode and decode RGB levels; the last row and column of each image is repeated."""
    ycc = _mix(levels, TO_YCC)
    ycc[:, 1:] += 128
    ycc.round_()
    halves = [(-(-height // 2), -(-width // 2)) for height, width in sizes]
    # libjpeg pads rows before subsampling, and columns afterwards.
    chroma = _hold(_halve(ycc[:, 1:]), [(height, levels.shape[-1] // 2) for height, _ in halves])
    chroma = _code(chroma, quantisation(CHROMINANCE, qualities))
    chroma = _enlarge(_hold(chroma, halves)) - 128
    luma = _code(ycc[:, :1], quantisation(LUMINANCE, qualities))
    return _mix(torch.cat([luma, chroma], 1), TO_RGB).round_().clamp_(0, 255)


def _hold(planes: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Pad each image by repeating its last row and column."""
    height, width = planes.shape[-2:]
    if len(set(sizes)) == 1:
        rows, columns = sizes[0]
        if sizes[0] == (height, width):
            return planes
        more = (0, width - columns, 0, height - rows)
        return F.pad(planes[..., :rows, :columns], more, mode="replicate")
    device = planes.device
    last = torch.tensor(sizes, device=device)[:, :, None] - 1
    rows_of = torch.minimum(torch.arange(height, device=device), last[:, 0])
    columns_of = torch.minimum(torch.arange(width, device=device), last[:, 1])
    image = torch.arange(len(planes), device=device)[:, None, None, None]
    channel = torch.arange(planes.shape[1], device=device)[:, None, None]
    return planes[image, channel, rows_of[:, None, :, None], columns_of[:, None, None, :]]


def _mix(channels: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    weights = torch.tensor(matrix, device=channels.device)
    return torch.matmul(weights, channels.flatten(2)).view(channels.shape)


def _halve(chroma: Tensor) -> Tensor:
    """Average 2 x 2 pixels; halves are alternately rounded down and up, as in libjpeg."""
    tall = chroma[..., ::2, :] + chroma[..., 1::2, :]
    sums = tall[..., ::2] + tall[..., 1::2]
    bias = 1 + torch.arange(sums.shape[-1], device=chroma.device) % 2
    return ((sums + bias) / 4).floor_()


def _code(planes: Tensor, steps: Tensor) -> Tensor:
    """Quantise cosine coefficients: integer grey levels ``(N, C, H, W)`` of whole blocks."""
    count, channels, height, width = planes.shape
    cosines = _cosines(planes.device)
    wide = steps.to(planes).repeat(1, 1, width // BLOCK)[:, None]
    # Rows of blocks, (N, C H / 8, 8, W).
    strips = (planes - 128).reshape(count, channels * height // BLOCK, BLOCK, width)
    # libjpeg's transform has a resolution of 1/8, and its quantiser rounds halves away from 0.
    found = _along_rows(cosines @ strips, cosines.T).mul_(8).add_(0.5).floor_().div_(8)
    kept = found.div(wide).abs_().add_(0.5).floor_().copysign_(found).mul_(wide)
    restored = cosines.T @ _along_rows(kept, cosines)
    # Halves, which occur in flat blocks, are rounded up; the thousandth absorbs float errors.
    return restored.add_(128.501).floor_().clamp_(0, 255).view(planes.shape)


def _along_rows(strips: Tensor, matrix: Tensor) -> Tensor:
    """Multiply each group of eight pixels of a row by a matrix."""
    return (strips.reshape(-1, BLOCK) @ matrix).view(strips.shape)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # the cached tensor may be used outside later
def _cosines(device: torch.device) -> Tensor:
    """Return the orthonormal cosine transform: row k is the k-th frequency."""
    place = torch.arange(BLOCK, dtype=torch.float64)
    basis = torch.cos((2 * place + 1) * place[:, None] * math.pi / (2 * BLOCK)) / 2
    basis[0] /= math.sqrt(2)
    return basis.to(device, torch.float32)


def _enlarge(chroma: Tensor) -> Tensor:
    """Upsample both axes by 2 by linear interpolation of integers, like libjpeg.

    The weights along each axis are 3/4 for the nearest and 1/4 for the next pixel.
    """
    framed = F.pad(chroma, (1,) * 4, mode="replicate")
    middle = 3 * framed[..., 1:-1, :]
    count, channels, height, width = chroma.shape
    result = chroma.new_empty(count, channels, 2 * height, 2 * width)
    for row, next_row in enumerate((framed[..., :-2, :], framed[..., 2:, :])):
        tall = middle + next_row
        nearer = 3 * tall[..., 1:-1]
        # Halves are rounded up in the left half of a pixel and down in its right half.
        result[..., row::2, ::2] = nearer.add(tall[..., :-2]).add_(8)
        result[..., row::2, 1::2] = nearer.add_(tall[..., 2:]).add_(7)
    return result.div_(16).floor_()
