"""Bootstrap confidence intervals over the images of a test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from srkit.report._metric_info import MetricInfo

Floats = NDArray[np.float64]

CONFIDENCE, RESAMPLES = 0.95, 10_000
#: Number of values that are drawn at once, which bounds the memory.
BATCH_VALUES = 2_000_000
#: With fewer images than this, percentile intervals are known to be too narrow.
FEW = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """The lead of one model over another.

    Parameters
    ----------
    value
        Difference of the metric, positive if the first model is better.
    low, high
        The 95 % confidence interval of `value`.
    """

    value: float
    low: float
    high: float

    @property
    def tie(self) -> bool:
        """Whether the interval contains 0, so that other images might reverse the order."""
        return self.low <= 0 <= self.high


def paired_difference(
    first: Floats, second: Floats, metric: MetricInfo, *, seed: int = 0
) -> Difference | None:
    """Compare two models by a paired percentile bootstrap (Efron & Tibshirani 1993).

    The images are drawn with replacement, the same images for both models, so that the difficulty
    of an image, which affects both, cancels out.

    Parameters
    ----------
    first, second
        ``(N,)``: the values of the metric on the same images. Images that could not be measured
        for one of the models (NaN) are skipped.
    metric
        The direction of the metric; of a signed metric, the root mean squares are compared.
    seed
        Seed of the resampling.

    Returns
    -------
    Difference or None
        None for fewer than two images, or infinite values.
    """
    sign = 1 if metric.higher_is_better and not metric.signed else -1

    def average(values: Floats, axis: int) -> Any:
        return np.sqrt((values**2).mean(axis)) if metric.signed else values.mean(axis)

    def lead(first: Floats, second: Floats, axis: int = -1) -> Any:
        return sign * (average(first, axis) - average(second, axis))

    measured = ~(np.isnan(first) | np.isnan(second))
    samples = first[measured], second[measured]
    ends = _interval(samples, lead, seed)
    return None if ends is None else Difference(float(lead(*samples)), *ends)


def interval(values: Floats, *, seed: int = 0) -> tuple[float, float] | None:
    """Compute the 95 % confidence interval of a mean over the images, skipping NaN.

    None for fewer than two images, or infinite values.
    """
    return _interval((values[~np.isnan(values)],), np.mean, seed)


def _interval(
    samples: tuple[Floats, ...], statistic: Callable[..., Any], seed: int
) -> tuple[float, float] | None:
    count = len(samples[0])
    if count < 2 or not np.isfinite(samples).all():
        return None
    low, high = bootstrap(
        samples,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH_VALUES // count),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(low), float(high)
