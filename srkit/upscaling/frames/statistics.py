"""Statistics of a whole frame, which restoring a part of it requires."""

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
from srkit.upscaling.holes import unusable
from srkit.upscaling.normalisation import NO_VALUES

#: Values that are read at once.
BAND = 2**22


@dataclass(frozen=True, slots=True)
class FrameStatistics:
    """Statistics of a frame.

    Parameters
    ----------
    data_range
        The values of black and white.
    extremes
        The smallest and the largest usable value.
    holes
        Number of values that are NaN or infinite.
    unusable
        Number of values that are not to be used, including holes.
    medians
        Median of each channel's finite values, ``(C,)``, if there are unusable ones.
    mean, mean_absolute
        Mean of the usable values, and of their absolute values.
    opacity
        The lowest and the highest, if there is an alpha channel.
    digest
        Checksum of all values.
    """

    data_range: tuple[float, float]
    extremes: tuple[float, float]
    holes: int
    unusable: int
    medians: Tensor | None
    mean: float
    mean_absolute: float
    opacity: tuple[float, float] | None
    digest: str


def frame_statistics(source: ImageSource) -> FrameStatistics:
    """Compute the statistics of a frame by reading it once, or three times if it has holes.

    Raises
    ------
    DataError
        If the file is damaged, or no pixel has a value.
    """
    sums = _Sums()
    for band, _ in read_bands(source):
        sums.add(band)
    if not sums.finite:
        raise DataError(NO_VALUES)
    holes = source.outline.pixels.numel() - sums.finite
    medians = None
    if sums.unusable:
        medians = row_medians(
            lambda: (
                band.pixels.masked_fill(unusable(band), math.nan).flatten(1)
                for band, _ in read_bands(source)
            )
        )
    return FrameStatistics(
        source.data_range(sums.low, sums.high),
        (sums.least, sums.most),
        holes,
        sums.unusable,
        medians,
        sums.total / max(sums.count, 1),
        sums.absolute / max(sums.count, 1),
        (sums.lowest_alpha, sums.highest_alpha) if "alpha" in source.outline.metadata else None,
        f"{sums.digest:08x}",
    )


def read_bands(source: ImageSource, margin: int = 0) -> Iterator[tuple[Image, slice]]:
    """Read a frame from top to bottom, some rows at a time.

    Yields
    ------
    band, inner
        Rows with a margin above and below, and those of them without it.
    """
    channels, height, width = source.outline.pixels.shape
    rows = max(1, BAND // (channels * width))
    for top in range(0, height, rows):
        bottom, above = min(top + rows, height), min(margin, top)
        band = source.rows(top - above, min(bottom + margin, height))
        yield band, slice(above, above + bottom - top)


@dataclass(slots=True)
class _Sums:
    low: float = math.inf
    high: float = -math.inf
    least: float = math.inf
    most: float = -math.inf
    finite: int = 0
    unusable: int = 0
    count: int = 0
    total: float = 0.0
    absolute: float = 0.0
    lowest_alpha: float = math.inf
    highest_alpha: float = -math.inf
    digest: int = 0

    def add(self, band: Image) -> None:
        pixels = band.pixels
        finite = pixels.isfinite()
        known = pixels if finite.all() else pixels[finite]
        if known.numel():
            low, high = torch.aminmax(known)
            self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
            self.finite += known.numel()
        bad = unusable(band)
        self.unusable += int(bad.sum())
        stated = pixels[~bad]
        if stated.numel():
            low, high = torch.aminmax(stated)
            self.least, self.most = min(self.least, float(low)), max(self.most, float(high))
        self.count += stated.numel()
        self.total += float(stated.sum(dtype=torch.float64))
        self.absolute += float(stated.abs().sum(dtype=torch.float64))
        alpha = band.metadata.get("alpha")
        if alpha is not None:
            self.lowest_alpha = min(self.lowest_alpha, float(alpha.min()))
            self.highest_alpha = max(self.highest_alpha, float(alpha.max()))
        for plane in (pixels, alpha, *map(band.metadata.get, ("mask", "unusable"))):
            if plane is not None:
                self.digest = zlib.crc32(plane.contiguous().numpy().data, self.digest)
