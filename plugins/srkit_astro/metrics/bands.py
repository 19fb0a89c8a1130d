"""What the metrics share: from batches to single bands in double precision, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkit.functional import check_equal_shapes
from srkit.interfaces import Batch

#: A band of an image, ``(H, W)``.
Band = NDArray[np.float64]
Floats = NDArray[np.float64]


def each_image(measure: Callable[..., float], *images: Tensor) -> Tensor:
    """Measure every band of every image, and average over the bands.

    Parameters
    ----------
    measure
        Takes a :data:`Band` of each of `images`; gives NaN where it cannot be measured.
    *images
        ``(N, C, H, W)`` each, of the same N and C.

    Returns
    -------
    Tensor
        ``(N,)`` float64 on the CPU: the mean over the bands that could be measured, NaN where none
        could.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    for image in images:
        bad = int((~image.isfinite()).sum())
        if bad:
            raise ValueError(f"{bad} of {image.numel()} values are not finite; fill them first")
    arrays = [image.detach().double().cpu().numpy() for image in images]
    values = [
        mean_of_measured([measure(*bands) for bands in zip(*channels, strict=True)])
        for channels in zip(*arrays, strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def compare_bands(measure: Callable[[Band, Band], float], sr: Tensor, batch: Batch) -> Tensor:
    """Measure SR against HR by :func:`each_image`."""
    check_equal_shapes(sr, batch.hr)
    return each_image(measure, sr, batch.hr)


def mean_of_measured(values: Sequence[float] | Floats) -> float:
    """Average what is not NaN; NaN if that is nothing."""
    found = [float(value) for value in values if not math.isnan(value)]
    return sum(found) / len(found) if found else math.nan
