"""Restore pictures with an alpha channel, without fringes around what is transparent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from srkit.functional.resizing import resize_mask
from srkit.interfaces import Image, Upscaled
from srkit.upscaling.upscaler import ImageUpscaler

#: Below this opacity a colour is not seen, and dividing by it would only enlarge rounding.
UNSEEN = 1 / 512


def upscale_picture(
    upscaler: ImageUpscaler,
    image: Image,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Upscaled, Tensor | None]:
    """Restore colours, and opacity where the picture has it.

    Colours are multiplied by the opacity first and divided by it afterwards (Porter & Duff 1984),
    so that what is hidden behind transparent pixels does not bleed into what is seen.

    Returns
    -------
    upscaled
        The colours.
    alpha
        ``(1, H, W)`` in [0, 1], or None.
    """
    alpha = image.metadata.get("alpha")
    if alpha is None:
        return upscaler(image, report), None
    low = image.data_range[0]
    bits = {"bits": image.metadata.get("bits")}
    mask = Image(alpha, (0.0, 1.0), bits)
    enlarged = upscaler(mask, report).pixels
    size = enlarged.shape[-2:]
    even = resize_mask(is_even(alpha), size)
    enlarged = torch.where(even, resize_mask(alpha, size), enlarged)
    seen = upscaler(replace(image, pixels=multiplied(image.pixels, alpha, low)), report)
    # An overshoot of the opacity is divided out before it is cut off.
    return replace(seen, pixels=coloured(seen.pixels, enlarged, low)), enlarged.clamp(0, 1)


def is_even(alpha: Tensor) -> Tensor:
    """Find where the opacity is the same all around: there a network has nothing to find.

    Its own small errors would lay a haze over what is transparent.

    Parameters
    ----------
    alpha
        ``(1, h, w)`` of LR.

    Returns
    -------
    Tensor
        ``(1, h, w)``: where the 5 x 5 pixels around have one opacity.
    """
    highest, lowest = max_pool2d(alpha, 5, 1, 2), -max_pool2d(-alpha, 5, 1, 2)
    return highest == lowest


def multiplied(pixels: Tensor, alpha: Tensor, black: float) -> Tensor:
    """Let what is hidden behind transparent pixels become black."""
    return black + (pixels - black) * alpha


def coloured(seen: Tensor, alpha: Tensor, black: float) -> Tensor:
    """Undo :func:`multiplied`; what is transparent is black."""
    colours = black + (seen - black) / alpha.clamp(min=UNSEEN)
    return torch.where(alpha < UNSEEN, black, colours)


def upscale_pictures(
    upscaler: ImageUpscaler,
    images: Sequence[Image],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Upscaled, Tensor | None]]:
    """Restore pictures as :func:`upscale_picture` does, opaque ones together."""
    opaque = [image for image in images if "alpha" not in image.metadata]
    restored = iter(upscaler.batch(opaque, report))
    return [
        upscale_picture(upscaler, image, report)
        if "alpha" in image.metadata
        else (next(restored), None)
        for image in images
    ]
