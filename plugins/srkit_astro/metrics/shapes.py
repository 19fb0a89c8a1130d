"""Positions, ellipticities and sizes of sources in SR and HR.

Positions are windowed centroids, like ``XWIN_IMAGE`` of SExtractor. Ellipticities and sizes are
derived from adaptive moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma
from torch import Tensor

from srkit.interfaces import Batch
from srkit_astro.extra import needs
from srkit_astro.grids import lr_of, pixel_scale_of
from srkit_astro.metrics.bands import Band, BandMetric, mean_of_defined, measure_bands
from srkit_astro.metrics.detection import DETECTION, Sources, detect
from srkit_astro.moments import Moments, adaptive_moments

with needs("sep"):
    import sep

PROTOCOL = f"adaptive moments, sky of each image subtracted, mean over the {DETECTION}"


def moments_of(sources: Sources, image: Band) -> list[Moments | None]:
    """Measure detected sources in a sky-subtracted image on the same grid."""
    sizes = np.sqrt(sources.catalogue["a"] * sources.catalogue["b"])
    return [
        adaptive_moments(image, x, y, size)
        for (x, y), size in zip(sources.positions, sizes, strict=True)
    ]


def compare_moments(difference: Callable[[Moments, Moments], float], sr: Band, hr: Band) -> float:
    """Average a difference between the moments in SR and HR over the whole sources of HR."""
    true = detect(hr).whole
    pairs = zip(moments_of(true, detect(sr).image), moments_of(true, true.image), strict=True)
    return mean_of_defined([difference(s, h) for s, h in pairs if s is not None and h is not None])


class CentroidShift(BandMetric):
    """Distance between the positions of a source in SR and HR, in milliarcseconds.

    Positions are centroids under a circular Gaussian window, whose FWHM is the half-light diameter
    of the source in HR. The value of an image is the mean over the sources of HR that are not
    truncated by the edge. Undefined for images without any.
    """

    unit = "mas"
    protocol = (
        "distance of windowed centroids in SR and HR, Gaussian window of HR's half-light diameter, "
        f"sky of each image subtracted, mean over the {DETECTION}"
    )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        return 1000 * pixel_scale_of(batch) * super().__call__(sr, batch)

    def _compare(self, sr: Band, hr: Band) -> float:
        true = detect(hr).whole
        x, y = true.positions.T
        radius, _ = sep.flux_radius(true.image, x, y, 6 * true.catalogue["a"], 0.5, subpix=5)
        window = np.maximum(2 * radius, 1) * gaussian_fwhm_to_sigma
        images = (detect(sr).image, true.image)
        places = [np.stack(sep.winpos(image, x, y, window)[:2], 1) for image in images]
        return mean_of_defined(np.hypot(*(places[0] - places[1]).T))


class EllipticityError(BandMetric):
    """Modulus of the difference of the complex ellipticities in SR and HR.

    The ellipticity is the distortion of adaptive moments: its modulus is ``(a² - b²) / (a² + b²)``,
    its phase twice the position angle. The value of an image is the mean over the sources of HR
    that are not truncated by the edge and whose moments are defined in both images. Undefined for
    images without any.
    """

    protocol = f"modulus of the difference of the distortions of SR and HR, {PROTOCOL}"

    def _compare(self, sr: Band, hr: Band) -> float:
        return compare_moments(lambda s, h: abs(s.ellipticity - h.ellipticity), sr, hr)


class SizeError(BandMetric):
    """Relative error of the sizes of sources: ``SR / HR - 1``.

    Positive values mean that SR is blurred. The size is the fourth root of the determinant of the
    adaptive moments. The value of an image is the mean over the same sources as for
    `ellipticity_error`.
    """

    signed = True
    protocol = f"size in SR over that in HR, minus 1, {PROTOCOL}"

    def _compare(self, sr: Band, hr: Band) -> float:
        return compare_moments(lambda s, h: s.size / h.size - 1, sr, hr)


class FwhmGain:
    """Fraction of the difference in FWHM between LR and HR that SR recovers.

    ``1 - |SR - HR| / (LR - HR)``, where SR, HR and LR are the mean FWHM of the sources, each from
    its adaptive moments. It is 1 for images as sharp as HR, 0 for images as blurred as LR, and
    decreases again for images that are too sharp. The mean is over the sources of HR that are not
    truncated by the edge and whose moments are defined in all three images. Undefined for images
    without any, or if HR is not sharper than LR.
    """

    higher_is_better = True
    unit = ""
    protocol = f"1 - |SR - HR| / (LR - HR) of the mean FWHM, {PROTOCOL}"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        lr, scale = lr_of(batch)
        return measure_bands(lambda s, h, low: _gain(s, h, low, scale), sr, batch.hr, lr)


def _gain(sr: Band, hr: Band, lr: Band, scale: int) -> float:
    # Each LR pixel is repeated over its scale x scale HR pixels, so that positions agree.
    enlarged = lr.repeat(scale, 0).repeat(scale, 1)
    true = detect(hr).whole
    images = (true.image, detect(sr).image, detect(enlarged).image)
    measured = [
        [each.size for each in moments if each is not None]
        for moments in zip(*(moments_of(true, image) for image in images), strict=True)
    ]
    sizes = np.array([each for each in measured if len(each) == len(images)])
    if not len(sizes):
        return math.nan
    high, restored, low = sizes.mean(0)
    return float(1 - abs(restored - high) / (low - high)) if low > high else math.nan
