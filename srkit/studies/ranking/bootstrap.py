"""Whether one model is better than another, or whether the images just fell that way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srkit.report.metric_info import MetricInfo

Floats = NDArray[np.float64]

#: Share of the resamplings that an interval holds, and their number.
CONFIDENCE, RESAMPLINGS = 0.95, 10_000
#: Values that are drawn at once: what bounds the memory.
AT_ONCE = 2_000_000
#: Below this many images intervals are known to be too narrow.
FEW = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a model is ahead of another.

    Parameters
    ----------
    value
        What the metric says, positive where the first is better.
    low, high
        The central interval of 95 % of the resamplings.
    """

    value: float
    low: float
    high: float

    @property
    def tie(self) -> bool:
        """Whether the interval holds 0: other images might have ranked the two otherwise."""
        return self.low <= 0 <= self.high


def paired_difference(
    first: Floats, second: Floats, metric: MetricInfo, *, seed: int = 0
) -> Difference | None:
    """Compare two models by a paired bootstrap over the images (Efron & Tibshirani 1993).

    Images are drawn with replacement, the same for both models, so that what makes an image hard
    for both does not count. The interval is that of the percentiles.

    Parameters
    ----------
    first, second
        ``(N,)``: the metric's values on the same images; an image that could not be measured for
        either (NaN) is left out.
    metric
        Tells what is better; of a signed metric root mean squares are compared.
    seed
        Of the drawing.

    Returns
    -------
    Difference or None
        None for less than two images, or infinite values.
    """
    pairs = np.stack([first, second])
    pairs = pairs[:, ~np.isnan(pairs).any(0)]
    count = pairs.shape[1]
    if count < 2 or not np.isfinite(pairs).all():
        return None
    sign = 1 if metric.higher_is_better and not metric.signed else -1

    def ahead(values: Floats) -> Floats:
        """Compare ``(2, ..., N)``."""
        first, second = np.sqrt((values**2).mean(-1)) if metric.signed else values.mean(-1)
        return np.asarray(sign * (first - second))

    low, high = _central([ahead(pairs[:, draws]) for draws in _draws(count, seed)])
    return Difference(float(ahead(pairs)), low, high)


def interval(values: Floats, *, seed: int = 0) -> tuple[float, float] | None:
    """Bootstrap the interval of a mean over the images; None as for two models."""
    values = values[~np.isnan(values)]
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return _central([values[draws].mean(-1) for draws in _draws(len(values), seed)])


def _draws(count: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Draw the images of all resamplings, some of these at a time: ``(some, count)``."""
    rng = np.random.default_rng(seed)
    rows = max(1, AT_ONCE // count)
    for start in range(0, RESAMPLINGS, rows):
        yield rng.integers(count, size=(min(rows, RESAMPLINGS - start), count))


def _central(parts: list[Floats]) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail])
    return float(low), float(high)
