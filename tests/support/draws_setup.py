"""Whether draws follow a distribution; the seeds are fixed, so the answers are, too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy.stats


def near(count: int, of: int, share: float) -> bool:
    """Tell whether a count is within four standard deviations of its share."""
    return abs(count - share * of) < 4 * math.sqrt(of * share * (1 - share)) + 1


def uniform(values: Sequence[float], low: float, high: float) -> bool:
    """Tell whether values are uniform, by the test of Kolmogorov and Smirnov."""
    return bool(scipy.stats.kstest(values, scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-3)
