"""How well predicted standard deviations match errors: coverage, pulls, sparsification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Probabilities of the central intervals whose coverage is counted.
LEVELS: Floats = np.arange(1, 100) / 100

#: Pixels of a data set on which the calibration of a model is measured, evenly over its images.
PIXELS = 200_000

#: Probability that a normal variable lies within one and two standard deviations of its mean.
ONE_SIGMA, TWO_SIGMA = (2 * NormalDist().cdf(reach) - 1 for reach in (1, 2))

#: Limits of the bins of signal-to-noise in which calibration is measured.
SIGNAL_TO_NOISE = (-np.inf, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, np.inf)

#: Shares of the pixels that are removed, those of the largest standard deviation first.
REMOVED: Floats = np.arange(100) / 100


@dataclass(frozen=True, slots=True)
class Bin:
    """The calibration of the pixels in a range of signal-to-noise.

    Parameters
    ----------
    low, high
        Limits of SR over its standard deviation.
    pixels
        Number of pixels.
    bias, spread
        Mean and sample standard deviation of the pulls.
    covered
        Share of the pixels with HR within one standard deviation.
    """

    low: float
    high: float
    pixels: int
    bias: float
    spread: float
    covered: float

    @property
    def name(self) -> str:
        """The limits, such as ``3 to 10``."""
        if self.low == -np.inf:
            return f"below {self.high:g}"
        return f"above {self.low:g}" if self.high == np.inf else f"{self.low:g} to {self.high:g}"

    @property
    def counting_error(self) -> float:
        """Standard error of `covered` by the number of pixels, if they are independent."""
        return float(np.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / self.pixels))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Errors of pixels beside the standard deviations that a model predicted for them.

    Parameters
    ----------
    error
        ``(P,)``: SR - HR in flux.
    sigma
        ``(P,)``: the standard deviations, in the same unit.
    signal
        ``(P,)``: SR in flux.
    """

    error: Floats
    sigma: Floats
    signal: Floats

    @classmethod
    def gather(cls, pixels: Sequence[NDArray[np.float32] | None]) -> Calibration | None:
        """Concatenate errors, standard deviations and SR, (3, n) of each image; or None."""
        known = [each for each in pixels if each is not None]
        if not known:
            return None
        error, sigma, signal = np.concatenate(known, axis=1, dtype=np.float64)
        return cls(error, sigma, signal)

    def pulls(self) -> Floats:
        """Return errors over standard deviations that are not 0; standard normal at best."""
        known = self.sigma > 0
        return self.error[known] / self.sigma[known]

    @property
    def bias(self) -> float:
        """Mean of the pulls; 0 at best."""
        return float(self.pulls().mean())

    @property
    def spread(self) -> float:
        """Sample standard deviation of the pulls: 1 at best, above 1 if sigma is too small."""
        return float(self.pulls().std(ddof=1))

    def covered(self, level: float) -> float:
        """Return the share of the pixels with HR in the central interval of this probability."""
        reach = NormalDist().inv_cdf((1 + level) / 2)
        return float((np.abs(self.error) <= reach * self.sigma).mean())

    def coverage(self) -> Floats:
        """Return the shares that are covered at :data:`LEVELS`; equal to these at best."""
        return np.array([self.covered(level) for level in LEVELS])

    def by_brightness(self) -> list[Bin]:
        """Return the calibration in bins of signal-to-noise, those of at least two pixels.

        Overall numbers are those of empty sky, which most pixels are.
        """
        known = self.sigma > 0
        pulls, ratio = self.pulls(), self.signal[known] / self.sigma[known]
        bins = []
        for low, high in pairwise(SIGNAL_TO_NOISE):
            inside = pulls[(ratio >= low) & (ratio < high)]
            if len(inside) > 1:
                covered = float((np.abs(inside) <= 1).mean())
                moments = float(inside.mean()), float(inside.std(ddof=1))
                bins.append(Bin(low, high, len(inside), *moments, covered))
        return bins

    @property
    def calibration_error(self) -> float:
        """Mean distance of the coverage from its level, in [0, 0.5]: 0 at best.

        The area between the curve and the diagonal (Tran et al. 2020, "Methods for comparing
        uncertainty quantifications for material property predictions").
        """
        return float(np.abs(self.coverage() - LEVELS).mean())

    def sparsification(self) -> Floats:
        """Return the root mean square error without the share :data:`REMOVED`, over that of all.

        The pixels of the largest sigma are removed first (Ilg et al. 2018, "Uncertainty estimates
        and multi-hypotheses networks for optical flow"). 1 throughout if sigma is not related to
        the errors.
        """
        return self._remaining_error(self.sigma)

    def oracle(self) -> Floats:
        """Return the same if the largest errors are removed first, which no sigma can beat."""
        return self._remaining_error(np.abs(self.error))

    @property
    def ause(self) -> float:
        """Area between :meth:`sparsification` and :meth:`oracle` (AUSE): 0 at best."""
        return float(np.trapezoid(self.sparsification() - self.oracle(), REMOVED))

    def _remaining_error(self, key: Floats) -> Floats:
        """Remove the pixels of the largest key, and return the errors of the rest."""
        squares = np.square(self.error[np.argsort(key, kind="stable")])
        means = np.cumsum(squares) / np.arange(1, len(squares) + 1)
        kept = np.maximum(len(squares) - np.round(REMOVED * len(squares)).astype(int), 1)
        error: Floats = np.sqrt(means[kept - 1] / max(means[-1], np.finfo(float).tiny))
        return error
