"""What has to be known of a whole frame before a part of it can be restored."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.functional.medians import row_medians
from srkit.interfaces import Image, ImageSource
from srkit.upscaling.upscaler import NO_VALUES

#: Values that are read at once.
BAND = 2**22


@dataclass(frozen=True, slots=True)
class Survey:
    """Numbers about a frame, gathered band by band.

    Parameters
    ----------
    data_range
        The values of black and white.
    holes
        How many values are NaN or infinite.
    medians
        Of each channel's finite values, ``(C,)``, where there are holes.
    mean, scatter
        Mean of the values, and of their absolute values; NaN left out.
    opacity
        The lowest and the highest, where there is opacity.
    digest
        Checksum of all that was read.
    """

    data_range: tuple[float, float]
    holes: int
    medians: Tensor | None
    mean: float
    scatter: float
    opacity: tuple[float, float] | None
    digest: str


def survey(source: ImageSource) -> Survey:
    """Read a frame once, and three times if it has holes.

    Raises
    ------
    DataError
        If the file is damaged, or no pixel has a value.
    """
    tally = _Tally()
    for band in bands(source):
        tally.add(band)
    if not tally.finite:
        raise DataError(NO_VALUES)
    holes = source.outline.pixels.numel() - tally.finite
    return Survey(
        source.data_range(tally.low, tally.high),
        holes,
        row_medians(lambda: (band.pixels.flatten(1) for band in bands(source))) if holes else None,
        tally.total / tally.count,
        tally.absolute / tally.count,
        (tally.clearest, tally.densest) if "alpha" in source.outline.metadata else None,
        f"{tally.digest:08x}",
    )


def bands(source: ImageSource) -> Iterator[Image]:
    """Read a frame from top to bottom, some rows at a time."""
    channels, height, width = source.outline.pixels.shape
    rows = max(1, BAND // (channels * width))
    for top in range(0, height, rows):
        yield source.rows(top, min(top + rows, height))


@dataclass(slots=True)
class _Tally:
    low: float = math.inf
    high: float = -math.inf
    finite: int = 0
    count: int = 0
    total: float = 0.0
    absolute: float = 0.0
    clearest: float = math.inf
    densest: float = -math.inf
    digest: int = 0

    def add(self, band: Image) -> None:
        pixels = band.pixels
        finite = pixels.isfinite()
        known = pixels if finite.all() else pixels[finite]
        if known.numel():
            low, high = torch.aminmax(known)
            self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
            self.finite += known.numel()
        stated = known if known is pixels else pixels[~pixels.isnan()]
        self.count += stated.numel()
        self.total += float(stated.sum(dtype=torch.float64))
        self.absolute += float(stated.abs().sum(dtype=torch.float64))
        alpha = band.metadata.get("alpha")
        if alpha is not None:
            self.clearest = min(self.clearest, float(alpha.min()))
            self.densest = max(self.densest, float(alpha.max()))
        for plane in (pixels, alpha, band.metadata.get("mask")):
            if plane is not None:
                self.digest = zlib.crc32(plane.contiguous().numpy().data, self.digest)
