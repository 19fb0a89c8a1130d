"""The geometric self-ensemble: the mean over eight flips and rotations of the input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Mirrored or not, and rotated by a number of right angles: the symmetries of the square.
TRANSFORMS = tuple((mirrored, turns) for mirrored in (False, True) for turns in range(4))


def self_ensemble(generator: Callable[[Tensor], Tensor], lr: Tensor) -> tuple[Tensor, Tensor]:
    """Restore flipped and rotated images, undo flips and rotations, and average.

    Mean and variance are updated image by image (Welford 1962): the memory is that of one pass
    and three images of the size of SR. No gradients are recorded.

    Parameters
    ----------
    generator
        A network from LR to SR, in evaluation mode.
    lr
        ``(N, C, h, w)``, not necessarily square.

    Returns
    -------
    mean
        ``(N, C, H, W)`` float32: the mean SR.
    variance
        Of the same shape: unbiased variance of the eight outputs, in the unit of `mean` squared.

    References
    ----------
    Timofte, Rothe & Van Gool, "Seven ways to improve example-based single image super
    resolution", CVPR 2016; Lim et al., "Enhanced deep residual networks for single image
    super-resolution", CVPR workshops 2017 (EDSR+).
    """
    with torch.no_grad():
        mean = generator(lr).float()
        squares = torch.zeros_like(mean)
        for count, (mirrored, turns) in enumerate(TRANSFORMS[1:], start=2):
            sr = undo(generator(transform(lr, mirrored, turns)).float(), mirrored, turns)
            change = sr - mean
            mean = mean + change / count
            squares += change * (sr - mean)
    return mean, squares / (len(TRANSFORMS) - 1)


def transform(images: Tensor, mirrored: bool, turns: int) -> Tensor:
    """Mirror images left to right if requested, then rotate them by right angles."""
    return torch.rot90(images.flip(-1) if mirrored else images, turns, (-2, -1))


def undo(images: Tensor, mirrored: bool, turns: int) -> Tensor:
    """Invert :func:`transform`."""
    turned = torch.rot90(images, -turns, (-2, -1))
    return turned.flip(-1) if mirrored else turned
