"""Cameras: a Moffat PSF that keeps the flux, and the noise of photons, sky and read-out."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.special import kv

Floats = NDArray[Any]

#: AB magnitude of 1 count / s, as in the coadds of HSC; what every camera here is brought to.
ZERO_POINT = 27.0
UNIT = "count / s"


def flux_of(magnitude: float) -> float:
    """Give the flux of an AB magnitude in count / s at :data:`ZERO_POINT`."""
    return float(10 ** (0.4 * (ZERO_POINT - magnitude)))


class Camera(BaseModel):
    """A telescope, its camera and how long it looked.

    Parameters
    ----------
    zero_point
        AB magnitude of 1 electron / s.
    fwhm
        Full width at half maximum of the PSF in arcsec.
    beta
        Exponent of the PSF's wings, above 1 (Moffat 1969, A&A 3, 455).
    exposure
        Total exposure in s.
    frames
        Read-outs that it is divided into.
    sky
        Surface brightness of the sky in AB mag / arcsec².
    read_noise
        Of a detector pixel in electrons.
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

        The sky is taken to repeat beyond the frame: what leaves on one side comes back on the
        other, so that the flux is kept to rounding, whatever the PSF.
        """
        spectrum = np.fft.rfft2(image) * moffat_transfer(self.fwhm, self.beta, len(image), pixel)
        return np.fft.irfft2(spectrum, s=image.shape)

    def expose(self, flux: Floats, pixel: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Photograph the sky and take its mean level away.

        Electrons of source and sky are Poisson's, those of the read-out Gaussian. Neighbouring
        pixels are independent, which those of drizzled and warped images are not quite.

        Parameters
        ----------
        flux
            Noise-free flux per pixel, ``(H, W)``, in count / s.
        pixel
            Side of a pixel in arcsec.
        rng
            Decides the noise.

        Returns
        -------
        tuple of ndarray
            Flux per pixel with noise, and the variance of the noise, in (count / s)².
        """
        electrons = self.exposure * 10 ** (0.4 * (self.zero_point - ZERO_POINT))  # a count / s
        sky = flux_of(self.sky) * pixel**2
        read = self.frames * (self.read_noise * pixel / self.detector_pixel) ** 2
        expected = (flux + sky) * electrons
        counted = rng.poisson(expected) + rng.normal(0, math.sqrt(read), flux.shape)
        return counted / electrons - sky, (expected + read) / electrons**2


class AcsF814W(Camera):
    """Hubble's ACS in F814W, exposed as for the COSMOS field.

    Exposure and read-outs are those of COSMOS, the read noise is within the range of the handbook.
    The PSF was chosen for 62 % of the light within 0.1 arcsec, the sky for a noise of 27.8 mag at 5
    sigma in a circle of 0.24 arcsec across. A point source, of which 30 % lies outside, is found to
    27.5 mag there; Koekemoer et al. state 27.2.

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
    """Subaru's Hyper Suprime-Cam in i, as in the Wide layer of its survey.

    Seeing, exposure, read noise and pixels are published. The zero point is that of an 8.2 m
    mirror at a throughput of 45 %; the sky was chosen to make the depth that of the Wide layer,
    26.2 mag at 5 sigma for a point source.

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
    """Sample the Fourier transform of Moffat's PSF at the frequencies of :func:`numpy.fft.rfft2`.

    It is known in closed form (Trujillo et al. 2001, MNRAS 328, 977, for its use; the integral is
    Basset's for the modified Bessel function K), so that no PSF image is cut off.

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
