"""Measurements on the single bands of batches, in double precision."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkit.functional import check_equal_shapes
from srkit.interfaces import Batch
from srkit_astro.grids import lr_of

#: A band of an image, ``(H, W)``.
Band = NDArray[np.float64]
Floats = NDArray[np.float64]


def measure_bands(measure: Callable[..., float], *images: Tensor) -> Tensor:
    """Measure every band of every image, and average over the bands.

    Parameters
    ----------
    measure
        A function of one :data:`Band` of each of `images`; returns NaN if its value is undefined.
    *images
        ``(N, C, H, W)`` each, of the same N and C.

    Returns
    -------
    Tensor
        ``(N,)`` float64 on the CPU: the mean over the bands with a defined value, NaN if there is
        none.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    for image in images:
        bad = int((~image.isfinite()).sum())
        if bad:
            raise ValueError(f"{bad} of {image.numel()} values are not finite; fill them first")
    arrays = [image.detach().cpu().double().numpy() for image in images]
    values = [
        mean_of_defined([measure(*bands) for bands in zip(*channels, strict=True)])
        for channels in zip(*arrays, strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def compare_bands(measure: Callable[[Band, Band], float], sr: Tensor, batch: Batch) -> Tensor:
    """Compare each band of SR with that of HR; see :func:`measure_bands`."""
    check_equal_shapes(sr, batch.hr)
    return measure_bands(measure, sr, batch.hr)


class BandMetric(ABC):
    """A metric whose value is the mean over the bands of an image."""

    higher_is_better = False
    unit = ""

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        return compare_bands(self._compare, sr, batch)

    @abstractmethod
    def _compare(self, sr: Band, hr: Band) -> float:
        """Compare a band of SR and HR; return NaN if the value is undefined."""


class RadiusMetric(ABC):
    """A :class:`BandMetric` with a radius in LR pixels."""

    higher_is_better = False
    unit = ""
    radius: float

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        radius = self.radius * lr_of(batch)[1]
        return compare_bands(partial(self._compare, radius), sr, batch)

    @abstractmethod
    def _compare(self, radius: float, sr: Band, hr: Band) -> float:
        """Compare a band of SR and HR, with the radius in HR pixels; see :class:`BandMetric`."""


def mean_of_defined(values: Sequence[float] | Floats) -> float:
    """Return the mean of the values that are not NaN; NaN if there are none."""
    found = [float(value) for value in values if not math.isnan(value)]
    return sum(found) / len(found) if found else math.nan
