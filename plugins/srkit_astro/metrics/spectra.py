"""Spatial frequencies: power spectra of SR and HR, and their correlation.

The mean of each image is subtracted, and a Hann window tapers it to 0 at the borders; otherwise the
edges of an image that is not periodic would add power at all frequencies. Frequencies are in cycles
per HR pixel, up to the Nyquist frequency of 0.5. Rings are one cycle per image wide.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from torch import Tensor

from srkit.interfaces import Batch
from srkit_astro.grids import pixel_scale_of
from srkit_astro.instruments.ranges import ascending
from srkit_astro.metrics.bands import Band, BandMetric, Floats

#: Rings with less than this fraction of the power of the strongest one only contain rounding
#: errors.
ROUNDING = 1e-12

Fraction = Annotated[float, Field(ge=0, le=1)]


def transform(image: Band) -> NDArray[np.complex128]:
    """Return the Fourier transform of an image under a Hann window, mean subtracted: ``(H, W)``."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in image.shape))
    mean = (image * window).sum() / window.sum()
    return np.fft.fft2((image - mean) * window)


def rings(shape: tuple[int, ...]) -> tuple[NDArray[np.intp], Floats]:
    """Assign the frequencies of a Fourier transform to rings.

    Returns
    -------
    numbers : numpy.ndarray
        ``(H, W)``: the ring number of each frequency. Ring 0 is the mean; rings from
        ``len(frequencies)`` on are beyond the Nyquist frequency.
    frequencies : numpy.ndarray
        Central frequency of each ring in cycles per pixel, from 0 to 0.5.
    """
    longest = max(shape)
    rows, columns = (np.fft.fftfreq(side) for side in shape)
    numbers = np.rint(longest * np.hypot(rows[:, None], columns)).astype(np.intp)
    return numbers, np.arange(longest // 2 + 1) / longest


def ring_sums(values: NDArray[np.float64], numbers: NDArray[np.intp], count: int) -> Floats:
    """Return the sum of the values in each of the first rings."""
    sums = np.bincount(numbers.ravel(), values.ravel(), numbers.max() + 1)
    return np.asarray(sums[:count], dtype=np.float64)


class PowerSpectrumRatio(BandMetric):
    """Mean deviation of the radial power spectrum of SR from that of HR, in dB.

    The mean of ``|10 log10(power of SR / power of HR)|`` over the rings of a frequency band:
    missing texture counts like excess texture. Phases are ignored; see `fourier_ring_correlation`.
    Rings without power in HR are left out. Undefined if there are no others, and infinite if SR has
    no power in a ring in which HR has.

    Parameters
    ----------
    band
        Lower and upper end of the frequency band, as fractions of the Nyquist frequency of HR: at a
        scale of 2, ``[0.5, 1]`` are the frequencies that LR cannot contain.
    """

    unit = "dB"

    def __init__(
        self, *, band: Annotated[tuple[Fraction, Fraction], AfterValidator(ascending)] = (0.0, 1.0)
    ) -> None:
        self.band = band
        self.protocol = (
            "mean |10 log10| of the ratio of radial power spectra, SR over HR, Hann window, from "
            f"{band[0]:g} to {band[1]:g} of the Nyquist frequency of HR"
        )

    def _compare(self, sr: Band, hr: Band) -> float:
        numbers, frequencies = rings(hr.shape)
        powers = (
            ring_sums(np.abs(transform(image)) ** 2, numbers, len(frequencies))
            for image in (sr, hr)
        )
        restored, true = powers
        low, high = (0.5 * end for end in self.band)
        kept = (frequencies >= low) & (frequencies <= high) & (true > ROUNDING * true.max())
        kept[0] = False  # the mean
        if not kept.any():
            return math.nan
        with np.errstate(divide="ignore"):
            return float(np.abs(10 * np.log10(restored[kept] / true[kept])).mean())


class FourierRingCorrelation(BandMetric):
    """Resolution of SR in arcsec, from its correlation with HR on rings of spatial frequency.

    It is the inverse of the frequency at which the correlation first falls below the threshold,
    with linear interpolation between rings, and at least two HR pixels. If the images do not agree
    even in the lowest ring, it is larger than the image. Undefined if HR or SR is constant.

    Parameters
    ----------
    threshold
        Correlation above which frequencies count as resolved; 1/7 is that of Nieuwenhuizen et al.

    References
    ----------
    W. Saxton and W. Baumeister, "The correlation averaging of a regularly arranged bacterial cell
    envelope protein", Journal of Microscopy 127 (1982) 127. R. Nieuwenhuizen et al., "Measuring
    image resolution in optical nanoscopy", Nature Methods 10 (2013) 557, for 1/7.
    """

    unit = "arcsec"

    def __init__(self, *, threshold: Annotated[float, Field(gt=0, lt=1)] = 1 / 7) -> None:
        self.threshold = threshold
        self.protocol = (
            f"period at which the Fourier ring correlation of SR and HR falls below "
            f"{threshold:.3g}, Hann window, at least 2 pixels of HR"
        )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        return pixel_scale_of(batch) * super().__call__(sr, batch)

    def _compare(self, sr: Band, hr: Band) -> float:
        if np.ptp(sr) == 0 or np.ptp(hr) == 0:
            return math.nan
        correlation, frequencies = ring_correlation(sr, hr)
        below = correlation < self.threshold
        if not below.any():
            return float(1 / frequencies[-1])
        first = int(np.argmax(below))  # never 0, where the correlation is 1
        drop = correlation[first - 1] - correlation[first]
        share = (correlation[first - 1] - self.threshold) / drop
        return float(1 / (frequencies[first - 1] + share * (frequencies[1] - frequencies[0])))


def ring_correlation(first: Band, second: Band) -> tuple[Floats, Floats]:
    """Correlate two images on each ring of spatial frequency.

    Returns
    -------
    correlation : numpy.ndarray
        ``(K,)`` in [-1, 1]; 1 by definition at frequency 0, and 0 if an image has no power.
    frequencies : numpy.ndarray
        ``(K,)`` in cycles per pixel.
    """
    numbers, frequencies = rings(first.shape)
    x, y = transform(first), transform(second)
    products = ((x * y.conj()).real, np.abs(x) ** 2, np.abs(y) ** 2)
    cross, power, other = (ring_sums(p, numbers, len(frequencies)) for p in products)
    norm = np.sqrt(power * other)
    correlation = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    correlation[0] = 1.0
    return correlation, frequencies
