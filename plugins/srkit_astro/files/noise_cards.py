"""Header cards with the noise of SR, whose pixels are correlated."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io.fits import Header
from numpy.typing import NDArray

from srkit.functional import measure_noise

#: The cards: keyword and comment.
CARDS = {
    "NOISERMS": "RMS noise of a pixel",
    "NOISECOR": "correlation of the noise of adjacent pixels",
    "NOISEFAC": "noise of sums over that of uncorrelated pixels",
}
#: Shortest side of an image whose noise is measured, and side of the part in the middle of a larger
#: one that is measured.
SHORTEST, MIDDLE = 100, 512
#: Significant digits, so that the way in which an image is restored does not matter.
DIGITS = 4


def middle_of(side: int) -> slice:
    """Return the part of an axis that is measured."""
    start = max(0, (side - MIDDLE) // 2)
    return slice(start, min(side, start + MIDDLE))


def reserve(header: Header, shape: tuple[int, ...]) -> None:
    """Add cards without values, to be filled in by :func:`describe`, unless the image is small."""
    for key, comment in CARDS.items():
        header.remove(key, ignore_missing=True, remove_all=True)
        if min(shape[-2:]) >= SHORTEST:
            header[key] = (None, comment)


def describe(header: Header, middle: NDArray[Any]) -> None:
    """Fill in the reserved cards, or remove them if the image has no noise.

    Parameters
    ----------
    header
        The header, with or without reserved cards.
    middle
        The part of SR that is measured, ``(C, h, w)``, in the values of the file; the cards contain
        medians over the bands.
    """
    if not all(key in header for key in CARDS):
        return
    bands = [measure_noise(band) for band in middle]
    known = [(each.rms, _neighbours(each.correlation), each.correlation.sum()) for each in bands]
    rms, neighbours, area = np.median(known, axis=0).tolist()
    for key, value in zip(CARDS, (rms, neighbours, max(area, 0.0) ** 0.5), strict=True):
        if rms > 0:
            header[key] = float(f"{value:.{DIGITS}g}")
        else:
            header.remove(key)


def _neighbours(correlation: NDArray[np.float64]) -> float:
    """Return the mean correlation of pixels that share a side."""
    centre = len(correlation) // 2
    return float((correlation[centre, centre + 1] + correlation[centre + 1, centre]) / 2)
