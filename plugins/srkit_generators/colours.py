"""The mean colour of the images that a network was made for."""

from __future__ import annotations

import torch
from torch import Tensor

#: Of the DIV2K training images, RGB in [0, 1] (Lim et al. 2017).
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


def mean_colour(channels: int, *, subtract: bool) -> Tensor:
    """Give what a network takes off LR and adds to SR, ``(1, C, 1, 1)``: DIV2K's mean, or zero.

    Raises
    ------
    ValueError
        If the mean of RGB is to be taken from other channels.
    """
    if subtract and channels != 3:
        raise ValueError(f"subtract_mean is for images of 3 channels; got {channels}")
    mean = DIV2K_MEAN if subtract else (0.0,) * channels
    return torch.tensor(mean).view(1, -1, 1, 1)
