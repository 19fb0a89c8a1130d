"""Measures of similarity between images, as pure functions: one number for each image.

They compare ``(N, C, H, W)`` images of equal shapes in float32, and return ``(N,)``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

#: Weights of R, G, B and the offset in the luma of ITU-R BT.601, for values in [0, 1].
LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
LUMA_BLACK = 16 / 255

#: Side and standard deviation of the window of the structural similarity (Wang et al. 2004).
SSIM_WINDOW = 11
SIGMA = 1.5


def difference(sr: Tensor, hr: Tensor) -> Tensor:
    """Subtract HR from SR in float32.

    Raises
    ------
    ValueError
        If their shapes differ.
    """
    check_equal_shapes(sr, hr)
    return sr.float() - hr.float()


def mse(sr: Tensor, hr: Tensor) -> Tensor:
    """Compute the mean squared difference of each image, in the square of its unit."""
    return difference(sr, hr).square().mean((1, 2, 3))


def mae(sr: Tensor, hr: Tensor) -> Tensor:
    """Compute the mean absolute difference of each image, in its unit."""
    return difference(sr, hr).abs().mean((1, 2, 3))


def psnr(sr: Tensor, hr: Tensor, *, span: float = 1.0) -> Tensor:
    """Compute the peak signal-to-noise ratio of each image in dB; infinite if identical.

    Parameters
    ----------
    sr, hr
        Images ``(N, C, H, W)``.
    span
        Width of the data range.
    """
    return 10 * torch.log10(span**2 / mse(sr, hr))


def ssim(sr: Tensor, hr: Tensor, *, span: float = 1.0) -> Tensor:
    """Compute the structural similarity of each image (Wang et al. 2004), mean over channels.

    As in the authors' MATLAB code, the window is a Gaussian of 11 x 11 pixels and standard
    deviation 1.5 that lies within the image, and variances are biased.

    Parameters
    ----------
    sr, hr
        Images ``(N, C, H, W)`` whose black is 0.
    span
        Width of the data range.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is smaller than the window.
    """
    check_equal_shapes(sr, hr)
    if min(sr.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(
            f"SSIM needs at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels; got {_sides(sr)}"
        )
    from kornia.metrics import ssim as ssim_map

    # In units of the span: for small values, kornia's products would be too small for float32.
    x, y = sr.float() / span, hr.float() / span
    # Autocast would run the convolutions in bf16, too coarse for differences of squares.
    with torch.autocast(sr.device.type, enabled=False):
        values: Tensor = ssim_map(x, y, SSIM_WINDOW, eps=0.0, padding="valid")
    return values.mean((1, 2, 3))


def ssim_blur(images: Tensor) -> Tensor:
    """Convolve with the Gaussian window of the structural similarity, without padding."""
    from kornia.filters import filter2d_separable, get_gaussian_kernel1d

    window = get_gaussian_kernel1d(SSIM_WINDOW, SIGMA, device=images.device, dtype=images.dtype)
    blurred: Tensor = filter2d_separable(images, window, window, padding="valid")
    return blurred


def luma(images: Tensor) -> Tensor:
    """Compute Y of ITU-R BT.601 in its range of 16 to 235 of 255, as MATLAB's ``rgb2ycbcr``.

    Parameters
    ----------
    images
        RGB ``(N, 3, H, W)`` in [0, 1].

    Returns
    -------
    Tensor
        ``(N, 1, H, W)`` in [16 / 255, 235 / 255], not rounded.

    Raises
    ------
    ValueError
        If the images do not have 3 channels.
    """
    if images.shape[1] != 3:
        raise ValueError(f"channel 'y' needs RGB images; got {images.shape[1]} channel(s)")
    # By hand, since kornia's `rgb_to_y` has the full range of 0 to 255.
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    return (weights * images.float()).sum(1, keepdim=True) + LUMA_BLACK


def metric_input(
    images: Tensor,
    *,
    data_range: tuple[float, float] | tuple[Tensor, Tensor],
    channel: Literal["rgb", "y"] = "rgb",
    crop: int = 0,
    quantize: bool = False,
) -> Tensor:
    """Prepare images for a metric: black becomes 0, white 1; crop, round, take the luma.

    Parameters
    ----------
    images
        ``(N, C, H, W)``.
    data_range
        The values of black and white; as tensors, one for each image, ``(N, 1, 1, 1)``.
    channel
        All channels, or the luma of RGB.
    crop
        Pixels to remove at each border.
    quantize
        Whether to clip to the data range and round to 256 levels, as an 8-bit file would.

    Raises
    ------
    ValueError
        If the crop leaves no pixels, or the luma of images that are not RGB is requested.
    """
    height, width = images.shape[-2:]
    if min(height, width) <= 2 * crop:
        raise ValueError(f"a crop of {crop} pixels leaves nothing of {_sides(images)} pixels")
    low, high = data_range
    unit = (images[..., crop : height - crop, crop : width - crop].float() - low) / (high - low)
    if quantize:
        unit = (unit.clamp(0, 1) * 255).round() / 255
    return luma(unit) if channel == "y" else unit


def check_equal_shapes(sr: Tensor, hr: Tensor) -> None:
    """Check that SR and HR have the same shape.

    Raises
    ------
    ValueError
        If their shapes differ.
    """
    if sr.shape != hr.shape:
        raise ValueError(
            f"SR has the shape {_text(sr)} and HR {_text(hr)} (N x C x H x W); the shapes must be "
            "equal"
        )


def _sides(images: Tensor) -> str:
    return f"{images.shape[-2]} x {images.shape[-1]}"


def _text(images: Tensor) -> str:
    return " x ".join(map(str, images.shape))
