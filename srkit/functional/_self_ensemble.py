"""The geometric self-ensemble: one network, asked eight times."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Mirrored or not, turned by so many right angles: the symmetries of the square.
TRANSFORMS = tuple((mirrored, turns) for mirrored in (False, True) for turns in range(4))


def self_ensemble(generator: Callable[[Tensor], Tensor], lr: Tensor) -> tuple[Tensor, Tensor]:
    """Restore mirrored and turned images, bring the answers back and average them.

    The answers are gathered one by one (Welford 1962), so that memory is that of one pass and
    three images of the size of SR. No gradients are recorded.

    Parameters
    ----------
    generator
        From LR to SR, in evaluation mode.
    lr
        ``(N, C, h, w)``; sides may differ.

    Returns
    -------
    mean
        ``(N, C, H, W)`` float32: the average SR.
    variance
        The same shape: unbiased variance of the eight answers, in the unit of `mean` squared.

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
    """Mirror images left to right if wanted, then turn them by right angles."""
    return torch.rot90(images.flip(-1) if mirrored else images, turns, (-2, -1))


def undo(images: Tensor, mirrored: bool, turns: int) -> Tensor:
    """Undo :func:`transform`."""
    turned = torch.rot90(images, -turns, (-2, -1))
    return turned.flip(-1) if mirrored else turned
