"""The noise of an image whose pixels may be correlated, such as a drizzled or resampled frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Largest lag in pixels at which noise may be correlated.
LARGEST_LAG = 6
#: Number of pixels on which large frames are measured.
SAMPLES = 50_000
#: Side of the blocks whose medians are the background, in which sources are searched.
BLOCK = 32
#: Sources are searched in the image smoothed by this standard deviation in pixels, above this
#: number of standard deviations, and masked with a margin in pixels.
SMOOTHING, DETECTED, MARGIN = 1.5, 4.0, 3
#: Ratio of the standard deviation of a Gaussian to the median of its absolute value.
MAD = 1.4826
#: Differences beyond so many standard deviations are left out.
CLIPPED = 4.0
#: Correlations within so many of their standard errors of 0 count as 0.
SIGNIFICANT = 3.0

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """The noise of a background: its size, and how it is correlated between pixels.

    Parameters
    ----------
    rms
        Root mean square of a pixel; 0 if it cannot be measured.
    correlation
        Correlation of two pixels by their distance, ``(2 n + 1, 2 n + 1)``: 1 at the centre, which
        is the distance 0, and 0 beyond.
    """

    rms: float
    correlation: Array

    def rms_of(self, weights: ArrayLike) -> float:
        """Return the root mean square of the noise of a weighted sum of pixels.

        Parameters
        ----------
        weights
            The weight of each pixel, 2-D: ``np.full((2, 2), 0.25)`` for the mean of 2 x 2 pixels,
            or a PSF.
        """
        given = np.atleast_2d(np.asarray(weights, np.float64))
        lags = [side // 2 for side in self.correlation.shape]
        padded = np.pad(given, [(lag, lag) for lag in lags])
        windows = np.lib.stride_tricks.sliding_window_view(padded, given.shape)
        products = np.tensordot(windows, given, 2)
        return float(self.rms * np.sqrt(max((products * self.correlation).sum(), 0.0)))


def measure_noise(pixels: ArrayLike) -> Noise:
    """Measure the noise of the background of an image, and its correlation between pixels.

    Sources are masked: what exceeds the medians of blocks significantly in the smoothed image. The
    correlation at each lag follows from the variance of the differences of pixels at this lag, with
    outliers clipped, relative to lags at which noise is not correlated. In differences, smooth
    light cancels. The photon noise of sources is not included.

    Parameters
    ----------
    pixels
        2-D image, with NaN where there is no value.
    """
    image = np.asarray(pixels, np.float64)
    if image.ndim != 2:
        raise ValueError(f"expected an image of 2 dimensions, got the shape {image.shape}")
    image = np.where(np.isfinite(image), image, np.nan)
    largest = max(0, min(LARGEST_LAG, min(image.shape) // 4 - 1))
    far = largest + 2
    background = np.pad(_without_sources(image), far, constant_values=np.nan)
    values, width = background.ravel(), background.shape[1]
    places = np.flatnonzero(np.isfinite(values))
    if len(places) > SAMPLES:
        places = places[np.random.default_rng(0).integers(0, len(places), SAMPLES)]

    def spread(dy: int, dx: int, limit: float | None = None) -> tuple[float, int]:
        return _half_variance(values[places + dy * width + dx] - values[places], limit)

    lags = [(dy, dx) for dy in range(far + 1) for dx in range(-far, far + 1)]
    lags = lags[far + 1 :]  # half of the plane, since the other half is the same
    beyond = [spread(*lag)[0] for lag in lags if max(map(abs, lag)) > largest]
    variance = float(np.nanmedian(beyond)) if np.isfinite(beyond).any() else 0.0
    correlation = np.zeros((2 * largest + 1,) * 2)
    correlation[largest, largest] = 1.0
    if variance > 0:
        limit = CLIPPED * float(np.sqrt(2 * variance))
        for dy, dx in lags:
            if max(dy, abs(dx)) <= largest:
                found, count = spread(dy, dx, limit)
                value = 1 - found / variance
                if count and abs(value) > SIGNIFICANT * np.sqrt(3 / count):
                    correlation[largest + dy, largest + dx] = value
                    correlation[largest - dy, largest - dx] = value
    return Noise(float(np.sqrt(variance)), correlation)


def _half_variance(differences: Array, limit: float | None = None) -> tuple[float, int]:
    """Return half of the variance of differences without outliers, and their number.

    The limit of outliers follows from the median where differences are normal. Neighbours in an
    enlarged image are not: half of them may be equal.
    """
    known = differences[np.isfinite(differences)]
    if not len(known):
        return np.nan, 0
    if limit is None:
        limit = CLIPPED * MAD * float(np.median(np.abs(known)))
    kept = known[np.abs(known) <= limit]
    return float(kept.var() / 2), len(known)


def _without_sources(image: Array) -> Array:
    """Return an image without its background, with NaN where there are sources."""
    from scipy import ndimage  # only here: it takes long to import

    known = np.isfinite(image)
    if not known.any():
        return image
    excess = image - _background(image)
    weight = ndimage.gaussian_filter(known.astype(np.float64), SMOOTHING)
    smooth = ndimage.gaussian_filter(np.where(known, excess, 0.0), SMOOTHING)
    smooth /= np.maximum(weight, 1e-6)
    limit = DETECTED * MAD * np.median(np.abs(smooth[known]))
    sources = ndimage.binary_dilation((np.abs(smooth) > limit) & known, iterations=MARGIN)
    return np.where(sources, np.nan, excess)


def _background(image: Array) -> Array | float:
    """Return the medians of blocks, interpolated linearly."""
    from scipy import ndimage

    counts = [side // BLOCK for side in image.shape]
    if min(counts) < 2:
        return float(np.nanmedian(image))
    rows, columns = (
        np.linspace(0, side, n + 1).astype(int) for side, n in zip(image.shape, counts, strict=True)
    )
    whole = np.nanmedian(image)
    medians = np.empty(counts)
    for i, j in np.ndindex(*counts):
        block = image[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        known = block[np.isfinite(block)]
        medians[i, j] = np.median(known) if len(known) else whole
    places = np.meshgrid(
        *(
            (np.arange(side) + 0.5) * n / side - 0.5
            for side, n in zip(image.shape, counts, strict=True)
        ),
        indexing="ij",
    )
    interpolated: Array = ndimage.map_coordinates(medians, places, order=1, mode="nearest")
    return interpolated
