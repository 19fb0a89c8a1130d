"""Checks that draws follow a distribution; seeds are fixed, so results are reproducible."""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy.stats


def near(count: int, of: int, share: float) -> bool:
    """Return whether a count is within four standard deviations of its expected value."""
    return abs(count - share * of) < 4 * math.sqrt(of * share * (1 - share)) + 1


def uniform(values: Sequence[float], low: float, high: float) -> bool:
    """Return whether values are uniform, with the Kolmogorov-Smirnov test."""
    return bool(scipy.stats.kstest(values, scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-3)
