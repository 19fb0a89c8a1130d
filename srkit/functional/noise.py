"""The noise of an image whose pixels may be correlated, such as a drizzled or resampled frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Largest lag in pixels at which noise may be correlated.
LARGEST_LAG = 6
#: Number of pixels on which large frames are measured.
SAMPLES = 50_000
#: Side of the blocks whose medians are the background, if each side of the frame has so many.
BLOCK, FEWEST = 32, 4
#: Side of the central part of large frames that is measured.
LARGEST_SIDE = 1024
#: Sources are searched in the image smoothed by this standard deviation in pixels, above this
#: number of standard deviations, and masked with a margin in pixels.
SMOOTHING, DETECTED, MARGIN = 1.5, 4.0, 3
#: The search is repeated with background and noise beside the sources found so far.
SEARCHES = 4
#: Noise is measured on this share of the other pixels, where the mean of a square, whose side is
#: this share of the frame's, is faintest: the wings of large galaxies fill small frames.
FAINT, BROAD = 0.3, 0.3
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

    @property
    def neighbours(self) -> float:
        """Mean correlation of a pixel with the four beside it."""
        lag = len(self.correlation) // 2
        if not lag:
            return 0.0
        beside = self.correlation[lag - 1 : lag + 2, lag - 1 : lag + 2][[0, 1, 1, 2], [1, 0, 2, 1]]
        return float(beside.mean())

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

    Sources are masked: what exceeds the medians of blocks significantly in the smoothed image. Of
    the rest, the faintest part of the frame is measured. The correlation at each lag follows from
    the variance of the differences of pixels at this lag, with outliers clipped, relative to lags
    at which noise is not correlated. In differences, smooth light cancels. The photon noise of
    sources is not included. Of large frames, the central part is measured.

    Parameters
    ----------
    pixels
        2-D image, with NaN where there is no value.
    """
    image = np.asarray(pixels, np.float64)
    if image.ndim != 2:
        raise ValueError(f"expected an image of 2 dimensions, got the shape {image.shape}")
    rows, columns = (max(0, (side - LARGEST_SIDE) // 2) for side in image.shape)
    image = image[rows : rows + LARGEST_SIDE, columns : columns + LARGEST_SIDE]
    image = np.where(np.isfinite(image), image, np.nan)
    largest = min(LARGEST_LAG, min(image.shape) // 10)
    far = largest + 2
    background = np.pad(_without_sources(image), far, constant_values=np.nan)
    values, width = background.ravel(), background.shape[1]
    places = np.flatnonzero(np.isfinite(values))
    if len(places) > SAMPLES:
        drawn = np.random.default_rng(0).integers(0, len(places), SAMPLES)
        places = places[np.sort(drawn)]  # in the order of memory
    here = values[places]

    def spread(dy: int, dx: int, limit: float | None = None) -> tuple[float, int]:
        return _half_variance(values[places + dy * width + dx] - here, limit)

    lags = [(dy, dx) for dy in range(far + 1) for dx in range(-far, far + 1)]
    lags = lags[far + 1 :]  # half of the plane, since the other half is the same
    beyond = [spread(*lag)[0] for lag in lags if set(map(abs, lag)) <= {0, far - 1, far}]
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
    weight = np.maximum(ndimage.gaussian_filter(known.astype(np.float64), SMOOTHING), 1e-6)
    sources, excess = ~known, image
    for _ in range(SEARCHES):
        if sources.all():
            break
        excess = image - _background(np.where(sources, np.nan, image))
        smooth = ndimage.gaussian_filter(np.where(known, excess, 0.0), SMOOTHING) / weight
        limit = DETECTED * MAD * np.median(np.abs(smooth[~sources]))
        bright = (np.abs(smooth) > limit) & known
        sources = ndimage.binary_dilation(bright, iterations=MARGIN) | ~known
    if sources.all():
        return np.full_like(image, np.nan)
    width = max(1, int(BROAD * min(image.shape)))
    light = ndimage.uniform_filter(np.where(sources, 0.0, excess), width)
    light /= np.maximum(ndimage.uniform_filter((~sources).astype(np.float64), width), 1e-6)
    faint = ~sources & (light <= np.quantile(light[~sources], FAINT))
    return np.where(faint, excess, np.nan)


def _background(image: Array) -> Array | float:
    """Return the medians of blocks, interpolated linearly."""
    from scipy import ndimage

    if min(image.shape) < FEWEST * BLOCK:
        return float(np.nanmedian(image))
    edges = [np.linspace(0, side, side // BLOCK + 1).astype(int) for side in image.shape]
    medians = _medians(image, edges)
    empty = np.isnan(medians)
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    rows, columns = (_interpolation(each) for each in edges)
    interpolated: Array = rows @ medians[tuple(nearest)] @ columns.T
    return interpolated


def _medians(image: Array, edges: Sequence[NDArray[np.int_]]) -> Array:
    """Return the medians of blocks between edges; NaN of those without a value."""
    padded = np.pad(image, (0, 1), constant_values=np.nan)
    rows, columns = (_places(each) for each in edges)
    blocks = padded[rows[:, None, :, None], columns[None, :, None, :]]
    ordered = np.sort(blocks.reshape(len(rows), len(columns), -1))  # NaN at the end
    count = np.isfinite(ordered).sum(-1, keepdims=True)
    middle = np.concatenate([(count - 1) // 2, count // 2], -1)
    medians: Array = np.take_along_axis(ordered, middle, -1).mean(-1)
    return medians


def _places(edges: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return the pixels of each block along an axis; -1 at the end of the shorter ones."""
    lengths = np.diff(edges)
    offsets = np.arange(lengths.max())
    return np.where(offsets < lengths[:, None], edges[:-1, None] + offsets, -1)


def _interpolation(edges: NDArray[np.int_]) -> Array:
    """Return the matrix that interpolates values of blocks linearly at each pixel of an axis."""
    centres = (edges[1:] + edges[:-1] - 1) / 2
    pixels = np.arange(edges[-1])
    left = np.clip(np.searchsorted(centres, pixels) - 1, 0, len(centres) - 2)
    share = (pixels - centres[left]) / (centres[left + 1] - centres[left])
    weights = np.zeros((len(pixels), len(centres)))
    weights[pixels, left], weights[pixels, left + 1] = 1 - share, share
    return weights
