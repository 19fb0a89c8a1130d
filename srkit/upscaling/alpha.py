"""Restore pictures with an alpha channel, without fringes around transparent regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from srkit.functional.resizing import resize_mask
from srkit.interfaces import Image, Upscaled
from srkit.upscaling.upscaler import ImageUpscaler

#: Below this opacity a colour is invisible, and dividing by it would only amplify rounding errors.
INVISIBLE = 1 / 512


def upscale_picture(
    upscaler: ImageUpscaler,
    image: Image,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Upscaled, Tensor | None]:
    """Restore the colours of a picture, and its opacity if it has any.

    Colours are multiplied by the opacity first and divided by it afterwards (Porter & Duff 1984),
    so that hidden colours of transparent pixels do not bleed into visible ones.

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
    black = image.data_range[0]
    mask = Image(alpha, (0.0, 1.0), {"bits": image.metadata.get("bits")})
    enlarged = upscaler(mask, report).pixels
    size = enlarged.shape[-2:]
    uniform = resize_mask(is_uniform(alpha), size)
    enlarged = torch.where(uniform, resize_mask(alpha, size), enlarged)
    pixels = premultiplied(image.pixels, alpha, black)
    upscaled = upscaler(replace(image, pixels=pixels), report)
    # An overshoot of the opacity is divided out before it is clipped.
    colours = unpremultiplied(upscaled.pixels, enlarged, black)
    return replace(upscaled, pixels=colours), enlarged.clamp(0, 1)


def upscale_pictures(
    upscaler: ImageUpscaler,
    images: Sequence[Image],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Upscaled, Tensor | None]]:
    """Restore pictures as :func:`upscale_picture` does, those without opacity together."""
    restored = iter(
        upscaler.batch([each for each in images if "alpha" not in each.metadata], report)
    )
    return [
        upscale_picture(upscaler, image, report)
        if "alpha" in image.metadata
        else (next(restored), None)
        for image in images
    ]


def is_uniform(alpha: Tensor) -> Tensor:
    """Find pixels around which the opacity is constant, and nothing is to be restored.

    Small errors of a network would lay a haze over transparent regions.

    Parameters
    ----------
    alpha
        ``(1, h, w)`` of LR.

    Returns
    -------
    Tensor
        ``(1, h, w)``: whether the 5 x 5 pixels around have the same opacity.
    """
    highest, lowest = max_pool2d(alpha, 5, 1, 2), -max_pool2d(-alpha, 5, 1, 2)
    return highest == lowest


def premultiplied(pixels: Tensor, alpha: Tensor, black: float) -> Tensor:
    """Multiply colours by the opacity, so that transparent pixels become black."""
    return black + (pixels - black) * alpha


def unpremultiplied(pixels: Tensor, alpha: Tensor, black: float) -> Tensor:
    """Undo :func:`premultiplied`; transparent pixels stay black."""
    colours = black + (pixels - black) / alpha.clamp(min=INVISIBLE)
    return torch.where(alpha < INVISIBLE, black, colours)
