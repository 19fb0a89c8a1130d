"""Bjontegaard deltas: the mean difference of two rate-quality curves.

G. Bjontegaard, Calculation of average PSNR differences between RD-curves, VCEG-M33, 2001; with the
piecewise interpolation of Akima (1970), which C. Herglotz et al., Beyond Bjontegaard: Limits of
Video Compression Performance Comparisons, ICIP 2022, found closest to densely sampled curves.

The package ``bjontegaard``, with which the tests compare these functions, is not a dependency: its
last release is of September 2023, and it prints warnings where this module returns a reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator

#: Rates, which are positive, such as bytes; and the quality at each, by any measure.
RateCurve = tuple[Sequence[float], Sequence[float]]
#: Minimum number of points of a curve.
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Delta:
    """A delta, or the reason why it is undefined.

    Parameters
    ----------
    value
        The delta; NaN if it is undefined.
    overlap
        Share of the total range of the two curves that they have in common, in [0, 1].
    reason
        Why the delta is undefined; otherwise empty.
    """

    value: float = math.nan
    overlap: float = 0.0
    reason: str = ""


def delta_quality(anchor: RateCurve, test: RateCurve) -> Delta:
    """Compute the mean quality of `test` minus that of `anchor`, over their common rates.

    The mean is over the logarithm of the rate; for PSNR this is BD-PSNR.
    """
    first, second = ((np.log10(rates), np.array(values)) for rates, values in (anchor, test))
    return _average(first, second)


def delta_rate(anchor: RateCurve, test: RateCurve) -> Delta:
    """Compute the mean excess in percent of the rate of `test` over that of `anchor`.

    This is the BD-rate, at equal quality; it is negative if `test` needs less. It is undefined
    unless the quality of both curves is strictly monotonic; repeated points count once.
    """
    for curve in (anchor, test):
        points = np.unique(np.column_stack(curve), axis=0)
        steps = np.diff(points[:, 1])
        if not ((steps > 0).all() or (steps < 0).all()):
            return Delta(reason="the values are not monotonic")
    first, second = ((np.array(values), np.log10(rates)) for rates, values in (anchor, test))
    found = _average(first, second)
    return replace(found, value=100 * (10**found.value - 1))


Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def _average(anchor: Points, test: Points) -> Delta:
    """Compute the mean difference of two curves over their common abscissae."""
    curves = []
    for x, y in (anchor, test):
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return Delta(reason="a value is not finite")
        distinct, places = np.unique(x, return_index=True)
        if len(distinct) < FEWEST:
            return Delta(reason=f"a curve has fewer than {FEWEST} distinct points")
        curves.append((distinct, y[places]))
    low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if high <= low:
        return Delta(reason="the curves do not overlap")
    width = max(x[-1] for x, _ in curves) - min(x[0] for x, _ in curves)
    areas = [float(Akima1DInterpolator(x, y).integrate(low, high)) for x, y in curves]
    return Delta((areas[1] - areas[0]) / float(high - low), float((high - low) / width))
