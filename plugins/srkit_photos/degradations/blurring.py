"""Blur images of any sizes together, each with its own kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: Multiples of this have fast Fourier transforms.
FAST = 32


def blur(images: Sequence[Tensor], kernels: Tensor) -> list[Tensor]:
    """Convolve by FFT with reflected borders.

    The border is OpenCV's BORDER_REFLECT_101 and SciPy's ``mirror``, as in the code of Real-ESRGAN
    and BSRGAN. kornia's ``filter2d`` requires images of one size, and takes 1.6 times as long for
    kernels of 21 pixels.

    Parameters
    ----------
    images
        N images ``(C, h, w)``, each of its own size.
    kernels
        ``(N, k, k)``, centred, with odd sides.

    Returns
    -------
    list of Tensor
        Blurred images of the sizes of `images`.
    """
    half = kernels.shape[-1] // 2
    sides = [max(image.shape[axis] for image in images) + 2 * half for axis in (-2, -1)]
    height, width = (-(-side // FAST) * FAST for side in sides)
    channels = images[0].shape[0]
    canvas = images[0].new_zeros(len(images), channels, height, width)
    for place, image in zip(canvas, images, strict=True):
        framed = _frame(image, half)
        place[:, : framed.shape[-2], : framed.shape[-1]] = framed
    transfer = torch.fft.rfft2(kernels.to(canvas), (height, width))[:, None]
    result: Tensor = torch.fft.irfft2(torch.fft.rfft2(canvas) * transfer, (height, width))
    # The kernels are centred at (half, half) rather than at the origin, which shifts the result.
    return [
        blurred[:, 2 * half : 2 * half + image.shape[-2], 2 * half : 2 * half + image.shape[-1]]
        for blurred, image in zip(result, images, strict=True)
    ]


def _frame(image: Tensor, half: int) -> Tensor:
    """Pad an image with `half` reflected pixels on each side."""
    if half < min(image.shape[-2:]):
        return F.pad(image, (half,) * 4, mode="reflect")
    rows, columns = (_mirror(side, half, image.device) for side in image.shape[-2:])
    return image[:, rows][:, :, columns]


def _mirror(side: int, half: int, device: torch.device) -> Tensor:
    """Return the pixel indices from `half` before an axis to `half` after it, reflected."""
    period = max(2 * (side - 1), 1)
    index = torch.arange(-half, side + half, device=device) % period
    return torch.minimum(index, period - index) if side > 1 else torch.zeros_like(index)
