"""Photometry of SR and HR: of the whole image, in apertures around sources, and at their peaks.

Errors are signed, SR minus HR, so that their mean over the images is the bias of the photometry and
their standard deviation its scatter. In magnitudes, positive is too faint.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat
from scipy.ndimage import label

from srkit_astro.extra import needs
from srkit_astro.metrics.bands import Band, BandMetric, Floats, RadiusMetric, mean_of_defined
from srkit_astro.metrics.detection import DETECTION, Sources, detect

with needs("photutils"):
    from photutils.aperture import CircularAperture


def magnitudes(sr: float, hr: float) -> float:
    """Return the difference of two fluxes in magnitudes; NaN unless both are positive."""
    return -2.5 * math.log10(sr / hr) if sr > 0 and hr > 0 else math.nan


class FluxError(BandMetric):
    """Error of the total flux in magnitudes: ``-2.5 log10(sum of SR / sum of HR)``.

    The sky is not subtracted: it is expected to be zero, and an offset of SR counts as an error.
    Undefined if either sum is not positive.
    """

    signed = True
    unit = "mag"
    protocol = "-2.5 log10 of the sum of SR over the sum of HR, whole image, no sky subtracted"

    def _compare(self, sr: Band, hr: Band) -> float:
        return magnitudes(sr.sum(), hr.sum())


class ApertureFluxError(RadiusMetric):
    """Error of the flux in circular apertures around the sources of HR, in magnitudes.

    The sky of HR is subtracted from both images. The value of an image is the mean over the sources
    whose aperture lies within the image and has a positive flux in both. A source that is missing
    in SR has no magnitude; it lowers the `completeness`. Undefined if there is no such source.

    Parameters
    ----------
    radius
        Radius of the apertures in LR pixels.
    """

    signed = True
    unit = "mag"

    def __init__(self, *, radius: PositiveFloat = 3.0) -> None:
        self.radius = radius
        self.protocol = (
            f"-2.5 log10 of SR over HR in circles of {radius:g} LR pixels, exact overlap, sky of "
            f"HR subtracted from both, mean over the {DETECTION}"
        )

    def _compare(self, radius: float, sr: Band, hr: Band) -> float:
        sources = detect(hr)
        places = _inside(sources, radius)
        if not len(places):
            return math.nan
        masks = CircularAperture(places, radius).to_mask(method="exact")
        fluxes = (
            np.array([mask.multiply(image).sum() for mask in masks])
            for image in (sr - sources.sky, sources.image)
        )
        return mean_of_defined([magnitudes(s, h) for s, h in zip(*fluxes, strict=True)])


class IsophotalFluxError(BandMetric):
    """Error of the flux within the isophote of HR's brightest source, in magnitudes.

    The isophote is that of the detection threshold in HR. The same pixels are summed in both
    images, with the sky of HR subtracted. Undefined for images without a source in HR that is not
    truncated by the edge, or if either flux is not positive.
    """

    signed = True
    unit = "mag"
    protocol = (
        "-2.5 log10 of SR over HR within the isophote of HR at the detection threshold, sky of HR "
        f"subtracted from both, brightest of the {DETECTION}"
    )

    def _compare(self, sr: Band, hr: Band) -> float:
        true = detect(hr).whole
        if not len(true):
            return math.nan
        inside = isophote(true)
        return magnitudes((sr - true.sky)[inside].sum(), true.image[inside].sum())


def isophote(sources: Sources) -> NDArray[np.bool_]:
    """Return the mask of the pixels above the threshold connected to the brightest source's peak.

    Returns
    -------
    ndarray
        ``(H, W)``; all False if the peak, which is that of the smoothed image, is below the
        threshold.
    """
    brightest = sources.catalogue[0]
    above = sources.image > sources.threshold
    regions, _ = label(above)
    found: NDArray[np.bool_] = regions == regions[brightest["ypeak"], brightest["xpeak"]]
    return found & above


class PeakError(RadiusMetric):
    """Relative error of the peak brightness of the sources of HR: ``SR / HR - 1``.

    The sky of HR is subtracted from both images. The peak in SR is the brightest pixel within the
    radius of the peak in HR. Undefined for images whose HR has no source.

    Parameters
    ----------
    radius
        The radius in LR pixels.
    """

    signed = True

    def __init__(self, *, radius: PositiveFloat = 1.0) -> None:
        self.radius = radius
        self.protocol = (
            f"peak of SR within {radius:g} LR pixels of the peak of HR, over the peak of HR, minus "
            f"1; sky of HR subtracted from both, mean over the {DETECTION}"
        )

    def _compare(self, radius: float, sr: Band, hr: Band) -> float:
        sources = detect(hr)
        rows, columns = np.indices(hr.shape)
        errors = []
        for x, y in zip(sources.catalogue["xpeak"], sources.catalogue["ypeak"], strict=True):
            near = np.hypot(rows - y, columns - x) <= radius
            errors.append((sr[near].max() - sources.sky) / sources.image[y, x] - 1)
        return mean_of_defined(errors)


def _inside(sources: Sources, radius: float) -> Floats:
    """Return the positions, ``(K, 2)``, around which a circle lies within the image."""
    height, width = sources.image.shape
    places = sources.positions
    low = places >= radius - 0.5
    high = places <= np.array([width, height]) - 0.5 - radius
    return places[(low & high).all(1)]
