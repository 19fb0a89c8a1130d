"""Bjontegaard deltas: how far apart two curves of quality against rate are, on average.

G. Bjontegaard, Calculation of average PSNR differences between RD-curves, VCEG-M33, 2001; with the
piecewise interpolation of Akima (1970), which C. Herglotz et al., Beyond Bjontegaard: Limits of
Video Compression Performance Comparisons, ICIP 2022, found closest to densely sampled curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator

#: Fewest points of a curve.
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Delta:
    """A delta, or why there is none.

    Parameters
    ----------
    value
        The delta; None where the curves do not allow one.
    overlap
        Share of what both curves span that they have in common, in [0, 1].
    reason
        Why there is none; empty where there is.
    """

    value: float | None
    overlap: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Quality against rate.

    Parameters
    ----------
    rates
        ``(N,)``, above 0, such as bytes.
    values
        ``(N,)`` of any measure of quality.
    """

    rates: Sequence[float]
    values: Sequence[float]


def delta_quality(anchor: RateCurve, test: RateCurve) -> Delta:
    """Average the quality of `test` less that of `anchor` over the rates that both have.

    The average is over the logarithm of the rate; of PSNR this is BD-PSNR.
    """
    first, second = ((np.log10(curve.rates), np.array(curve.values)) for curve in (anchor, test))
    return _average(first, second)


def delta_rate(anchor: RateCurve, test: RateCurve) -> Delta:
    """Average by how many percent the rate of `test` exceeds that of `anchor` at equal quality.

    This is the BD-rate: below 0 where `test` needs less. There is none unless the quality of both
    changes one way with every step of the rate; a point that stands twice counts once.
    """
    for curve in (anchor, test):
        points = np.unique(np.column_stack([curve.rates, curve.values]), axis=0)
        steps = np.diff(points[:, 1])
        if not ((steps > 0).all() or (steps < 0).all()):
            return Delta(None, reason="the values do not change one way with the rate")
    first, second = ((np.array(curve.values), np.log10(curve.rates)) for curve in (anchor, test))
    found = _average(first, second)
    if found.value is None:
        return found
    return Delta(100 * (10**found.value - 1), found.overlap)


Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def _average(anchor: Points, test: Points) -> Delta:
    """Average the difference of two curves over the abscissae that they share."""
    curves = []
    for x, y in (anchor, test):
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return Delta(None, reason="a value is not finite")
        distinct, places = np.unique(x, return_index=True)
        if len(distinct) < FEWEST:
            return Delta(None, reason=f"a curve has fewer than {FEWEST} distinct points")
        curves.append((distinct, y[places]))
    low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if high <= low:
        return Delta(None, reason="the curves do not overlap")
    width = max(x[-1] for x, _ in curves) - min(x[0] for x, _ in curves)
    areas = [float(Akima1DInterpolator(x, y).integrate(low, high)) for x, y in curves]
    return Delta((areas[1] - areas[0]) / float(high - low), float((high - low) / width))
