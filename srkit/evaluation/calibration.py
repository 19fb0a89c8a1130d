"""How well standard deviations tell errors: coverage, pulls, sparsification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Probabilities of the central intervals whose coverage is counted.
LEVELS: Floats = np.arange(1, 100) / 100

#: Pixels of a data set by which a model is judged, evenly over its images.
PIXELS = 200_000

#: Probability of a normal variable to lie within one and two standard deviations of its mean.
ONE_SIGMA, TWO_SIGMA = (2 * NormalDist().cdf(reach) - 1 for reach in (1, 2))

#: Shares of the pixels that are taken away, the least sure first.
REMOVED: Floats = np.arange(100) / 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """Errors of pixels beside the standard deviations that a model gave them.

    Parameters
    ----------
    error
        ``(P,)``: SR - HR in flux.
    sigma
        ``(P,)``: the standard deviations, of the same unit.
    """

    error: Floats
    sigma: Floats

    @classmethod
    def gather(cls, pixels: Sequence[NDArray[np.float32] | None]) -> Calibration | None:
        """Put errors and standard deviations, (2, n) of each image, together; None without any."""
        known = [each for each in pixels if each is not None]
        if not known:
            return None
        error, sigma = np.concatenate(known, axis=1, dtype=np.float64)
        return cls(error, sigma)

    def pulls(self) -> Floats:
        """Divide errors by standard deviations, where these are not 0: normal if all is well."""
        known = self.sigma > 0
        return self.error[known] / self.sigma[known]

    @property
    def bias(self) -> float:
        """Mean of the pulls; 0 at best."""
        return float(self.pulls().mean())

    @property
    def spread(self) -> float:
        """Sample standard deviation of the pulls: 1 at best, above 1 where sigma is too small."""
        return float(self.pulls().std(ddof=1))

    def covered(self, level: float) -> float:
        """Share of the pixels whose HR lies in the central interval of this probability."""
        reach = NormalDist().inv_cdf((1 + level) / 2)
        return float((np.abs(self.error) <= reach * self.sigma).mean())

    def coverage(self) -> Floats:
        """Give the shares that are covered at :data:`LEVELS`; equal to these at best."""
        return np.array([self.covered(level) for level in LEVELS])

    @property
    def calibration_error(self) -> float:
        """Mean distance of the coverage from its level, in [0, 0.5]: 0 at best.

        The area between the curve and the diagonal (Tran et al. 2020, "Methods for comparing
        uncertainty quantifications for material property predictions").
        """
        return float(np.abs(self.coverage() - LEVELS).mean())

    def sparsification(self) -> Floats:
        """Root mean square error of what is left when :data:`REMOVED` is gone, over that of all.

        The least sure pixels go first (Ilg et al. 2018, "Uncertainty estimates and multi-hypotheses
        networks for optical flow"). 1 throughout where sigma says nothing.
        """
        return self._left(self.sigma)

    def oracle(self) -> Floats:
        """Give the same where the largest errors go first: no standard deviation can do better."""
        return self._left(np.abs(self.error))

    @property
    def ause(self) -> float:
        """Area between :meth:`sparsification` and :meth:`oracle` (AUSE): 0 at best."""
        return float(np.trapezoid(self.sparsification() - self.oracle(), REMOVED))

    def _left(self, key: Floats) -> Floats:
        """Take pixels away by the largest key, and give the errors of the rest."""
        squares = np.square(self.error[np.argsort(key, kind="stable")])
        means = np.cumsum(squares) / np.arange(1, len(squares) + 1)
        kept = np.maximum(len(squares) - np.round(REMOVED * len(squares)).astype(int), 1)
        left: Floats = np.sqrt(means[kept - 1] / max(means[-1], np.finfo(float).tiny))
        return left
