"""Numbers with their errors: fractions, counts and biases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from astropy.stats import binom_conf_interval, mad_std, poisson_conf_interval

from srkit_astro.validation.sources import Floats


@dataclass(frozen=True, slots=True)
class Fraction:
    """A fraction with its 68 % interval.

    Parameters
    ----------
    successes, trials
        What was counted.
    """

    successes: int
    trials: int

    @property
    def value(self) -> float:
        """The fraction; NaN without trials."""
        return self.successes / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The central 68.3 % interval of Wilson."""
        if not self.trials:
            return math.nan, math.nan
        low, high = binom_conf_interval(self.successes, self.trials, interval="wilson")
        return float(low), float(high)


def count_interval(count: int) -> tuple[float, float]:
    """Return the central 68.3 % interval of the mean of a Poisson distribution."""
    low, high = poisson_conf_interval(count, interval="frequentist-confidence")
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Bias:
    """The mean of errors, with its standard error, and their median and robust scatter.

    Parameters
    ----------
    mean, error
        Mean and its standard error.
    median, scatter
        Median, and 1.4826 times the median absolute deviation.
    count
        Number of values.
    """

    mean: float
    error: float
    median: float
    scatter: float
    count: int

    @classmethod
    def of(cls, values: Floats) -> Bias:
        """Summarise values; NaN for what so few values do not determine."""
        count = len(values)
        if not count:
            return cls(math.nan, math.nan, math.nan, math.nan, 0)
        error = float(values.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
        scatter = float(mad_std(values)) if count > 1 else math.nan
        return cls(float(values.mean()), error, float(np.median(values)), scatter, count)


def crossing(levels: list[float], fractions: list[float], wanted: float = 0.5) -> float:
    """Return the level at which a rising curve reaches a fraction, by logarithmic interpolation.

    NaN if it does not.
    """
    points = list(zip(levels, fractions, strict=True))
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 < wanted <= y1:
            share = (wanted - y0) / (y1 - y0)
            return math.exp(math.log(x0) + share * (math.log(x1) - math.log(x0)))
    return math.nan
