"""Detection at a threshold in units of the noise, with the correlation of the noise.

An image is smoothed by a Gaussian whose FWHM is half that of the PSF of LR, the same on the sky for
every image. A source is a peak of the smoothed image above k times its own noise. This noise is
measured on the smoothed image and therefore includes the correlation between pixels: SR, whose
neighbouring pixels agree, gains nothing from it. For point sources in white noise, the significance
of a peak is 0.8 times the signal-to-noise ratio of the optimal filter, which is as wide as the PSF.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma, mad_std, sigma_clipped_stats
from scipy import ndimage
from scipy.spatial.distance import cdist

from srkit_astro.extra import needs
from srkit_astro.validation.plan import Bools
from srkit_astro.validation.sources import Floats

with needs("sep"):
    import sep

#: FWHM of the smoothing, in FWHM of the PSF of LR.
SMOOTHING = 0.5
#: Side of the meshes of the background in FWHM of the PSF of LR.
MESH = 16.0


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """An image smoothed for detection.

    Parameters
    ----------
    pixels
        The smoothed image, ``(H, W)``.
    sky
        Level of its background in meshes, interpolated, ``(H, W)``.
    noise
        Standard deviation of its background.
    """

    pixels: Floats
    sky: Floats
    noise: float

    def with_pixels(self, image: Floats, fwhm: float) -> Smoothed:
        """Return another image with the background of this one."""
        return Smoothed(smooth(image, fwhm), self.sky, self.noise)

    def detect(self, threshold: float, bad: Bools | None = None) -> Floats:
        """Return the positions of sources above `threshold` times the noise, ``(K, 2)``."""
        if not self.noise > 0:
            return np.empty((0, 2))
        excess = np.ascontiguousarray(self.pixels - self.sky)
        sep.set_extract_pixstack(max(300_000, excess.size))
        sep.set_sub_object_limit(max(1024, excess.size // 16))
        found = sep.extract(excess, threshold * self.noise, minarea=1, filter_kernel=None, mask=bad)
        return np.stack([found["x"], found["y"]], 1)


def smooth(image: Floats, fwhm: float) -> Floats:
    """Smooth by a Gaussian of half the `fwhm` of the PSF, in pixels of the image."""
    sigma = SMOOTHING * fwhm * gaussian_fwhm_to_sigma
    return np.asarray(ndimage.gaussian_filter(image, sigma, mode="reflect"))


def measure_background(image: Floats, fwhm: float, bad: Bools | None = None) -> Smoothed:
    """Smooth an image, and measure the background of the result, with sources clipped.

    The level is that of SExtractor's meshes, `MESH` FWHM a side.

    Parameters
    ----------
    image
        ``(H, W)``, without missing values.
    fwhm
        FWHM of the PSF of LR in pixels of the image.
    bad
        Pixels to ignore.
    """
    pixels = smooth(image, fwhm)
    side = max(round(MESH * fwhm), 1)
    sky = sep.Background(np.ascontiguousarray(pixels), mask=bad, bw=side, bh=side).back()
    _, level, noise = sigma_clipped_stats(pixels - sky, mask=bad, stdfunc=mad_std)
    return Smoothed(pixels, sky + float(level), float(noise))


def distances(found: Floats, spine: Floats) -> Floats:
    """Return the distance of each position, ``(K,)``, from the nearest point of a source."""
    if not len(found):
        return np.empty(0)
    return np.asarray(cdist(found, spine).min(1))
