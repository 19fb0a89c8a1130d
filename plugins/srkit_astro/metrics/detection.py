"""Source detection: completeness and false detections of SR.

Sources are detected with SEP (Barbary 2016), which provides the algorithms of SExtractor (Bertin
and Arnouts 1996), after subtraction of the sky, the sigma-clipped median. HR is the reference. SR
is searched down to the threshold of HR, the same surface brightness for both, since the noise of SR
says little about its depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from astropy.stats import sigma_clipped_stats
from numpy.typing import NDArray
from pydantic import PositiveFloat
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from srkit_astro.extra import needs
from srkit_astro.metrics.bands import Band, Floats, RadiusMetric

with needs("sep"):
    import sep

#: Detection threshold above the sky, in standard deviations of the sky.
SIGMAS = 5.0
#: Smallest threshold as a fraction of the peak of the image, for images without noise.
FAINTEST = 1e-3
#: Smallest number of pixels of a source above the threshold.
LEAST_AREA = 5

DETECTION = (
    f"sources found by SEP at {SIGMAS:g} sigma of the sky of HR, at least {LEAST_AREA} pixels"
)


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a band.

    Parameters
    ----------
    image
        The band with its sky subtracted.
    sky
        The sigma-clipped median of the band.
    threshold
        Surface brightness above the sky down to which sources were detected.
    catalogue
        The catalogue of SEP, brightest source first; see the documentation of ``sep.extract``.
    """

    image: Band
    sky: float
    threshold: float
    catalogue: NDArray[np.void]

    @property
    def positions(self) -> Floats:
        """Isophotal centroids, ``(K, 2)``: x and y in pixels; the first pixel's centre is 0."""
        return np.stack([self.catalogue["x"], self.catalogue["y"]], 1)

    @property
    def whole(self) -> Sources:
        """The sources that are not truncated by the edge of the image."""
        kept = self.catalogue[(self.catalogue["flag"] & sep.OBJ_TRUNC) == 0]
        return Sources(self.image, self.sky, self.threshold, kept)

    def __len__(self) -> int:
        return len(self.catalogue)


def detect(band: Band, threshold: float | None = None) -> Sources:
    """Detect the sources of a band.

    Parameters
    ----------
    band
        ``(H, W)``.
    threshold
        Surface brightness above the sky; by default derived from the scatter of the sky.
    """
    _, sky, scatter = sigma_clipped_stats(band)
    image = np.ascontiguousarray(band - sky)
    if threshold is None:
        threshold = max(SIGMAS * float(scatter), FAINTEST * float(image.max()))
    sep.set_extract_pixstack(max(300_000, image.size))
    # The threshold of an image without any contrast is 0.
    found = sep.extract(image, threshold or math.inf, minarea=LEAST_AREA)
    return Sources(image, float(sky), threshold, found[np.argsort(-found["flux"])])


def count_matches(first: Sources, second: Sources, radius: float) -> int:
    """Match sources one to one within a radius in pixels, and return the number of matches."""
    distance = cdist(first.positions, second.positions)
    # A pair that is too far apart costs more than all valid matches together.
    too_far = radius * (1 + min(len(first), len(second)))
    rows, columns = linear_sum_assignment(np.where(distance <= radius, distance, too_far))
    return int((distance[rows, columns] <= radius).sum())


class Completeness(RadiusMetric):
    """Fraction of the sources of HR that are detected in SR.

    Sources are matched one to one, within the radius. Undefined for images whose HR has no source.

    Parameters
    ----------
    radius
        Largest distance of a match in LR pixels.
    """

    higher_is_better = True

    def __init__(self, *, radius: PositiveFloat = 1.0) -> None:
        self.radius = radius
        self.protocol = (
            f"fraction of the {DETECTION}, that SR has within {radius:g} LR pixels at the same "
            "threshold"
        )

    def _compare(self, radius: float, sr: Band, hr: Band) -> float:
        true = detect(hr)
        if not len(true):
            return math.nan
        return count_matches(true, detect(sr, true.threshold), radius) / len(true)


class FalseDetectionRate(RadiusMetric):
    """Fraction of the sources of SR that HR does not have: those that a network has invented.

    Undefined for images whose SR has no source.

    Parameters
    ----------
    radius
        Largest distance of a match in LR pixels.
    """

    def __init__(self, *, radius: PositiveFloat = 1.0) -> None:
        self.radius = radius
        self.protocol = (
            f"fraction of the sources of SR that HR does not have within {radius:g} LR pixels at "
            f"the same threshold; {DETECTION}"
        )

    def _compare(self, radius: float, sr: Band, hr: Band) -> float:
        true = detect(hr)
        found = detect(sr, true.threshold)
        return 1 - count_matches(found, true, radius) / len(found) if len(found) else math.nan
