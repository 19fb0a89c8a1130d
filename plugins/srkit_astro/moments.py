"""Adaptive moments: position, size and elongation of a source, whatever the noise around it.

They are second moments under an elliptical Gaussian weight that matches the source itself, so that
distant noise has no effect (Hirata and Seljak 2003; Bernstein and Jarvis 2002). They are computed
here, since GalSim, which has them, is only a dependency of the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Half side of the stamp on which moments are computed, in standard deviations of the first guess.
STAMP = 8.0
#: Largest number of iterations; without convergence, the moments are undefined.
ITERATIONS = 100
#: Change of the moments, relative to the size, at which they have converged.
CONVERGED = 1e-6


@dataclass(frozen=True, slots=True)
class Moments:
    """Position, size and elongation of a source.

    Parameters
    ----------
    centre
        x and y in pixels, ``(2,)``; the centre of the first pixel is 0.
    covariance
        Covariance of the matched Gaussian in pixels squared, ``(2, 2)``.
    """

    centre: Floats
    covariance: Floats

    @property
    def size(self) -> float:
        """Standard deviation of a circular Gaussian of the same area, in pixels."""
        return float(np.linalg.det(self.covariance) ** 0.25)

    @property
    def ellipticity(self) -> complex:
        """Distortion ``(xx - yy + 2i xy) / (xx + yy)``, of modulus ``(a² - b²) / (a² + b²)``."""
        (xx, xy), (_, yy) = self.covariance.tolist()
        return complex(xx - yy, 2 * xy) / complex(xx + yy)


def adaptive_moments(image: Floats, x: float, y: float, size: float) -> Moments | None:
    """Measure the adaptive moments of a source: those of the Gaussian weight that matches it.

    The second moments of a Gaussian, weighted by itself, are half its own. The weight is therefore
    set to twice the measured moments, until it no longer changes.

    Parameters
    ----------
    image
        The band with its sky subtracted.
    x, y
        Initial centre in pixels.
    size
        Initial standard deviation in pixels.

    Returns
    -------
    Moments or None
        None if the flux under the weight is not positive, if the weight grows beyond the stamp,
        shrinks to nothing or drifts away, or if the iteration does not converge.

    References
    ----------
    C. Hirata and U. Seljak, "Shear calibration biases in weak-lensing surveys", MNRAS 343 (2003)
    459, arXiv:astro-ph/0301054, equations 4 to 6. G. Bernstein and M. Jarvis, "Shapes and shears,
    stars and smears", AJ 123 (2002) 583.
    """
    size = max(size, 0.7)
    reach = STAMP * size
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    near = (abs(columns - x) <= reach) & (abs(rows - y) <= reach)
    places, light = np.stack([columns[near], rows[near]]).astype(float), image[near]
    start = np.array([x, y], dtype=float)
    centre, covariance = start, size**2 * np.eye(2)
    for _ in range(ITERATIONS):
        offset = places - centre[:, None]
        weighted = light * np.exp(-0.5 * (offset * np.linalg.solve(covariance, offset)).sum(0))
        total = weighted.sum()
        if total <= 0:
            return None
        shift = offset @ weighted / total
        found = 2 * ((offset * weighted) @ offset.T / total - np.outer(shift, shift))
        change = max(abs(shift).max() / size, abs(found - covariance).max() / size**2)
        centre, covariance = centre + 2 * shift, found
        root = np.linalg.det(found)
        if root <= 0.01 or found.trace() <= 0 or math.sqrt(found.trace()) > reach / 2:
            return None
        if math.hypot(*(centre - start)) > 2 * size + 1:
            return None
        if change < CONVERGED:
            return Moments(centre, covariance)
    return None
