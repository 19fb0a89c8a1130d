"""Morphology of the brightest source in SR and HR: Sersic index and half-light radius.

Both are measured on the image including its PSF, and compared between SR and HR. Their scatter is
therefore that of a study which replaces HR by SR (as in Park et al. 2024, arXiv:2404.00102).
statmorph (Rodriguez-Gomez et al. 2019) measures both and more, but takes more than a second for a
source of 128 x 128 pixels. The fit here takes a hundredth of that; the tests compare the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import gammaincinv

from srkit_astro.extra import needs
from srkit_astro.metrics.bands import Band, BandMetric, Floats
from srkit_astro.metrics.detection import DETECTION, Sources, detect

with needs("sep"):
    import sep

#: Bounds of the Sersic index; a fit that ends at a bound has failed.
INDICES = (0.2, 8.0)
#: Half side of the fitted stamp, in isophotal semi-major axes, and its maximum in pixels.
STAMP, LARGEST = 6.0, 48
#: Pixels within this distance of the centre are averaged over this many samples per side.
CUSP, FINER = 3, 5
#: Minimum of the half side in pixels.
SMALLEST = 8


@dataclass(frozen=True, slots=True)
class SersicFit:
    """The result of a fit.

    Parameters
    ----------
    index
        The Sersic index.
    radius
        Half-light radius in pixels: the geometric mean of the two semi-axes.
    flux
        Total flux of the profile, integrated to infinity.
    """

    index: float
    radius: float
    flux: float


def fit_sersic(image: Band, sources: Sources) -> SersicFit | None:
    """Fit an elliptical Sersic profile to the brightest source.

    The parameters of the least-squares fit are the amplitude, the centre, the half-light radius,
    the index and the two components of the ellipticity; all pixels have equal weight. The profile
    is evaluated at the centres of pixels, except for those at the cusp, over which it is averaged.

    Parameters
    ----------
    image
        The band with its sky subtracted.
    sources
        The first source determines the stamp and the initial values. It may have been detected in
        another image on the same grid.

    Returns
    -------
    SersicFit or None
        None if the fit does not converge, or ends at a bound.

    References
    ----------
    A. Graham and S. Driver, "A concise reference to (projected) Sersic quantities", PASA 22 (2005)
    118, arXiv:astro-ph/0503176.
    """
    source = sources.catalogue[0]
    half = int(np.clip(STAMP * source["a"], SMALLEST, LARGEST))
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    near = (abs(columns - source["x"]) <= half) & (abs(rows - source["y"]) <= half)
    x, y, light = columns[near] - source["x"], rows[near] - source["y"], image[near]
    peak = light.max()
    if peak <= 0:
        return None

    cusp = np.hypot(x, y) <= CUSP
    offsets = (np.arange(FINER) + 0.5) / FINER - 0.5
    finer_x = np.add.outer(x[cusp], np.repeat(offsets, FINER))
    finer_y = np.add.outer(y[cusp], np.tile(offsets, FINER))

    def residuals(parameters: Floats) -> Floats:
        profile = _sersic(x, y, parameters)
        profile[cusp] = _sersic(finer_x, finer_y, parameters).mean(1)
        return np.asarray(profile - light / peak)

    fit = least_squares(
        residuals,
        [0.3, 0.0, 0.0, math.log(1.5 * math.sqrt(source["a"] * source["b"])), 0.0, 0.0, 0.0],
        bounds=(
            [0, -half, -half, math.log(0.3), math.log(INDICES[0]), -0.95, -0.95],
            [100, half, half, math.log(4 * half), math.log(INDICES[1]), 0.95, 0.95],
        ),
        x_scale=[0.1, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1],
    )
    if not fit.success or fit.active_mask.any():
        return None
    index, radius = math.exp(fit.x[4]), math.exp(fit.x[3])
    k = float(gammaincinv(2 * index, 0.5))
    # The flux for a half-light radius of 1 and a brightness of 1 there (Graham and Driver 2005).
    profile = 2 * math.pi * index * math.exp(k - 2 * index * math.log(k)) * math.gamma(2 * index)
    return SersicFit(index, radius, float(fit.x[0] * peak) * radius**2 * profile)


def sersic_index(image: Band, sources: Sources) -> float:
    """Return the index of :func:`fit_sersic`, or NaN if the fit fails."""
    fit = fit_sersic(image, sources)
    return math.nan if fit is None else fit.index


def _sersic(x: Floats, y: Floats, parameters: Floats) -> Floats:
    """Evaluate a profile; parameters: brightness at the radius, centre, ln radius, ln n, e1, e2."""
    brightness, x0, y0, log_radius, log_n, e1, e2 = parameters
    index = math.exp(log_n)
    dx, dy = x - x0, y - y0
    # An ellipse with the area of the circle: (a**2 - b**2) / (a**2 + b**2) is hypot(e1, e2).
    modulus = min(math.hypot(e1, e2), 0.99)
    square = (dx**2 + dy**2 - e1 * (dx**2 - dy**2) - 2 * e2 * dx * dy) / math.sqrt(1 - modulus**2)
    radius = np.sqrt(np.maximum(square, 1e-6)) / math.exp(log_radius)
    exponent = -gammaincinv(2 * index, 0.5) * (radius ** (1 / index) - 1)
    return np.asarray(brightness * np.exp(exponent))


def half_light_radius(image: Band, sources: Sources) -> float:
    """Return the radius in pixels of the circle with half of the light of the brightest source.

    Its total light is that within 6 isophotal semi-major axes, as for ``FLUX_RADIUS`` of
    SExtractor. NaN if it is not positive.
    """
    source = sources.catalogue[:1]
    x, y, reach = source["x"], source["y"], 6 * source["a"]
    flux, _, _ = sep.sum_circle(image, x, y, reach)
    if flux[0] <= 0:
        return math.nan
    radius, _ = sep.flux_radius(image, x, y, reach, 0.5, normflux=flux)
    return float(radius[0])


class SersicIndexError(BandMetric):
    """Difference of the Sersic indices of the brightest source: ``SR - HR``.

    The index is fitted to the image including its PSF, without deconvolution. Undefined for images
    without a source in HR that is not truncated by the edge, or if a fit fails.
    """

    signed = True
    protocol = (
        "Sersic index in SR minus that in HR, least-squares fit to the image including its PSF, "
        f"sky of each image subtracted, brightest of the {DETECTION}"
    )

    def _compare(self, sr: Band, hr: Band) -> float:
        true = detect(hr).whole
        if not len(true):
            return math.nan
        return sersic_index(detect(sr).image, true) - sersic_index(true.image, true)


class HalfLightRadiusError(BandMetric):
    """Relative error of the half-light radius of the brightest source: ``SR / HR - 1``.

    The radius is that of a circle around the position in HR. Undefined for images without a source
    in HR that is not truncated by the edge, or if a flux is not positive.
    """

    signed = True
    protocol = (
        "half-light radius in SR over that in HR, minus 1, of the light within 6 isophotal "
        f"semi-major axes of HR, sky of each image subtracted, brightest of the {DETECTION}"
    )

    def _compare(self, sr: Band, hr: Band) -> float:
        true = detect(hr).whole
        if not len(true):
            return math.nan
        return half_light_radius(detect(sr).image, true) / half_light_radius(true.image, true) - 1
