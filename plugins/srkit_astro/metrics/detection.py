"""Sources: what is found of them in SR, and what is found that is not there.

Sources are detected by SEP (Barbary 2016), the library of SExtractor's algorithms (Bertin and
Arnouts 1996), on the image less its sky, the sigma-clipped median. HR says what there is: SR is
searched down to the threshold of HR, as one surface brightness for both, for the noise of SR says
little about how deep it goes.
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
from torch import Tensor

from srkit.interfaces import Batch
from srkit_astro.extra import needs
from srkit_astro.grids import lr_of
from srkit_astro.metrics.bands import Band, Floats, compare_bands

with needs("sep"):
    import sep

#: Detection threshold above the sky, in standard deviations of the sky.
SIGMAS = 5.0
#: Least threshold as a share of the image's peak, for images without noise.
FAINTEST = 1e-3
#: Pixels that a source has above the threshold, at least.
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
        The band less its sky.
    sky
        The sigma-clipped median of the band.
    threshold
        Surface brightness above the sky down to which sources were searched.
    catalogue
        What SEP says of each source, brightest first; see the documentation of ``sep.extract``.
    """

    image: Band
    sky: float
    threshold: float
    catalogue: NDArray[np.void]

    @property
    def positions(self) -> Floats:
        """Isophotal centroids, ``(K, 2)``: x and y in pixels; 0 is the first pixel's centre."""
        return np.stack([self.catalogue["x"], self.catalogue["y"]], 1)

    @property
    def whole(self) -> Sources:
        """Those that the border of the image does not cut."""
        kept = self.catalogue[(self.catalogue["flag"] & sep.OBJ_TRUNC) == 0]
        return Sources(self.image, self.sky, self.threshold, kept)

    def __len__(self) -> int:
        return len(self.catalogue)


def detect(band: Band, threshold: float | None = None) -> Sources:
    """Find the sources of a band.

    Parameters
    ----------
    band
        ``(H, W)``.
    threshold
        Surface brightness above the sky; by default from the scatter of the sky.
    """
    _, sky, scatter = sigma_clipped_stats(band)
    image = np.ascontiguousarray(band - sky)
    if threshold is None:
        threshold = max(SIGMAS * float(scatter), FAINTEST * float(image.max()))
    sep.set_extract_pixstack(max(300_000, image.size))
    # A threshold of 0 is that of an image without any contrast.
    found = sep.extract(image, threshold or math.inf, minarea=LEAST_AREA)
    return Sources(image, float(sky), threshold, found[np.argsort(-found["flux"])])


def match(first: Sources, second: Sources, radius: float) -> int:
    """Count the pairs, one to one, of sources that lie within a radius in pixels of each other."""
    distance = cdist(first.positions, second.positions)
    # Whatever is too far costs more than all good pairs together.
    too_far = radius * (1 + min(len(first), len(second)))
    rows, columns = linear_sum_assignment(np.where(distance <= radius, distance, too_far))
    return int((distance[rows, columns] <= radius).sum())


class Completeness:
    """Share of the sources of HR that are found in SR.

    A source is found if SR has one within the radius of it, and that is no other's. Undefined for
    images whose HR has no source.

    Parameters
    ----------
    radius
        Largest distance of a match in LR pixels.
    """

    higher_is_better = True
    unit = ""

    def __init__(self, *, radius: PositiveFloat = 1.0) -> None:
        self.radius = radius
        self.protocol = (
            f"share of HR's {DETECTION}, that SR has within {radius:g} LR pixels at the same "
            "threshold"
        )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        radius = self.radius * lr_of(batch)[1]

        def measure(sr: Band, hr: Band) -> float:
            true = detect(hr)
            if not len(true):
                return math.nan
            return match(true, detect(sr, true.threshold), radius) / len(true)

        return compare_bands(measure, sr, batch)


class FalseDetectionRate:
    """Share of the sources of SR that HR does not have: what a network has made up.

    Undefined for images whose SR has no source.

    Parameters
    ----------
    radius
        Largest distance of a match in LR pixels.
    """

    higher_is_better = False
    unit = ""

    def __init__(self, *, radius: PositiveFloat = 1.0) -> None:
        self.radius = radius
        self.protocol = (
            f"share of SR's {DETECTION}, that HR does not have within {radius:g} LR pixels at the "
            "same threshold"
        )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        radius = self.radius * lr_of(batch)[1]

        def measure(sr: Band, hr: Band) -> float:
            true = detect(hr)
            found = detect(sr, true.threshold)
            return 1 - match(found, true, radius) / len(found) if len(found) else math.nan

        return compare_bands(measure, sr, batch)
