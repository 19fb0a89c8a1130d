"""Cameras: a Moffat PSF that conserves flux, photon noise of sources and sky, and read noise."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.special import kv

Floats = NDArray[Any]

#: AB magnitude of 1 count / s, as in the coadds of HSC; the unit of all cameras.
ZERO_POINT = 27.0
UNIT = "count / s"


def flux_of(magnitude: float) -> float:
    """Return the flux of an AB magnitude in count / s at :data:`ZERO_POINT`."""
    return float(10 ** (0.4 * (ZERO_POINT - magnitude)))


class Camera(BaseModel):
    """A telescope with its camera, and the depth of its observation.

    Parameters
    ----------
    zero_point
        AB magnitude of 1 electron / s.
    fwhm
        Full width at half maximum of the PSF in arcsec.
    beta
        Exponent of the PSF's wings, above 1 (Moffat 1969, A&A 3, 455).
    exposure
        Total exposure time in s.
    frames
        Number of co-added exposures, each read out once.
    sky
        Surface brightness of the sky in AB mag / arcsec².
    read_noise
        Read noise of a detector pixel in electrons.
    detector_pixel
        Side of a detector pixel in arcsec.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    zero_point: float
    fwhm: PositiveFloat
    beta: Annotated[float, Field(gt=1)]
    exposure: PositiveFloat
    frames: PositiveInt
    sky: float
    read_noise: NonNegativeFloat
    detector_pixel: PositiveFloat

    def blur(self, image: Floats, pixel: float) -> Floats:
        """Convolve a square ``(n, n)`` image of pixels of `pixel` arcsec with the PSF.

        The convolution is periodic: light that leaves on one side re-enters on the other, so that
        the flux is conserved to rounding for any PSF.
        """
        spectrum = np.fft.rfft2(image) * moffat_transfer(self.fwhm, self.beta, len(image), pixel)
        return np.fft.irfft2(spectrum, s=image.shape)

    def expose(self, flux: Floats, pixel: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Add the noise of an exposure and subtract the mean sky level.

        Electrons from source and sky follow a Poisson distribution; read noise is Gaussian. Pixels
        are independent, unlike those of drizzled or warped images.

        Parameters
        ----------
        flux
            Noise-free flux per pixel, ``(H, W)``, in count / s.
        pixel
            Side of a pixel in arcsec.
        rng
            The random generator of the noise.

        Returns
        -------
        tuple of ndarray
            Flux per pixel with noise, and the variance of the noise, in (count / s)².
        """
        electrons = self.exposure * 10 ** (0.4 * (self.zero_point - ZERO_POINT))  # per count / s
        sky = flux_of(self.sky) * pixel**2
        read = self.frames * (self.read_noise * pixel / self.detector_pixel) ** 2
        expected = (flux + sky) * electrons
        counted = rng.poisson(expected) + rng.normal(0, math.sqrt(read), flux.shape)
        return counted / electrons - sky, (expected + read) / electrons**2


class AcsF814W(Camera):
    """Hubble's ACS in F814W, with the exposure of the COSMOS field.

    Exposure time and number of exposures are those of COSMOS; the read noise is within the range of
    the handbook. The PSF was chosen to have 62 % of the light within 0.1 arcsec, and the sky to
    give a 5 sigma noise of 27.8 mag in a circle 0.24 arcsec in diameter. The depth for a point
    source, of which 30 % lies outside the circle, is 27.5 mag; Koekemoer et al. report 27.2.

    References
    ----------
    A. Koekemoer et al., "The COSMOS survey: Hubble Space Telescope Advanced Camera for Surveys
    observations and data processing", ApJS 172 (2007) 196, arXiv:astro-ph/0703095. ACS Instrument
    Handbook, section 3.5.
    """

    zero_point: float = 25.94
    fwhm: PositiveFloat = 0.1
    beta: Annotated[float, Field(gt=1)] = 2.0
    exposure: PositiveFloat = 2028.0
    frames: PositiveInt = 4
    sky: float = 22.2
    read_noise: NonNegativeFloat = 5.0
    detector_pixel: PositiveFloat = 0.05


class HscI(Camera):
    """Subaru's Hyper Suprime-Cam in i, with the depth of the Wide layer of its survey.

    Seeing, exposure time, read noise and pixels are the published ones. The zero point is that of
    an 8.2 m mirror with a throughput of 45 %. The sky was chosen to give the depth of the Wide
    layer, 26.2 mag at 5 sigma for a point source.

    Parameters
    ----------
    pixel
        Side of a pixel of the coadd in arcsec.

    References
    ----------
    H. Aihara et al., "Second data release of the Hyper Suprime-Cam Subaru Strategic Program",
    PASJ 71 (2019) 114, arXiv:1905.12221.
    """

    zero_point: float = 28.5
    fwhm: PositiveFloat = 0.6
    beta: Annotated[float, Field(gt=1)] = 3.0
    exposure: PositiveFloat = 1200.0
    frames: PositiveInt = 6
    sky: float = 20.0
    read_noise: NonNegativeFloat = 4.5
    detector_pixel: PositiveFloat = 0.17
    pixel: PositiveFloat = 0.168


@lru_cache(maxsize=8)
def moffat_transfer(fwhm: float, beta: float, count: int, pixel: float) -> Floats:
    """Sample the Fourier transform of a Moffat PSF at the frequencies of :func:`numpy.fft.rfft2`.

    The transform has a closed form (used by Trujillo et al. 2001, MNRAS 328, 977; it follows from
    Basset's integral for the modified Bessel function K), so that no wings are cut off.

    Parameters
    ----------
    fwhm, pixel
        In arcsec.
    beta
        Exponent of the wings.
    count
        Pixels on a side.

    Returns
    -------
    ndarray
        ``(count, count // 2 + 1)``; 1 at frequency 0.
    """
    radius = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))
    rows, columns = np.fft.fftfreq(count, pixel), np.fft.rfftfreq(count, pixel)
    frequency = 2 * math.pi * radius * np.hypot(rows[:, None], columns)
    frequency[0, 0] = 1.0
    order = beta - 1
    transfer = 2 * (frequency / 2) ** order * kv(order, frequency) / math.gamma(order)
    transfer[0, 0] = 1.0
    return np.asarray(transfer)
