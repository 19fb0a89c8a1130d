"""Registration of an LR image on an HR image of the same sky: offset, flux ratio and seeing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from srkit_astro.pairing.sky_images import Plane

Spectrum = NDArray[np.complex128]

#: Margin that the fit leaves out at each edge, as a fraction of the side: the blur wraps around.
BORDER = 1 / 8
#: Limits of the shape of the kernel, and the shape with which a fit starts: FWHM of the Moffat
#: function in LR pixels; 1 / beta, near 0 for a Gaussian; share of the broad Gaussian; FWHM of the
#: Gaussian over that of the Moffat function.
LEAST_SHAPE, LARGEST_SHAPE = (0.5, 0.004, -1.0, 1.3), (12.0, 0.65, 1.0, 3.0)
FIRST_SHAPE = (3.5, 0.33, 0.0, 1.7)
#: Width of the rings of spatial frequencies in which the power of the residuals is measured, in
#: cycles per side.
RING = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """The kernel that blurs HR to the seeing of LR: a Moffat function and a broad Gaussian.

    The ratio of two PSFs, such as of seeing to those of a space telescope, is not a Moffat function
    alone, which would change flux ratios by 2 %.

    Parameters
    ----------
    shape
        FWHM of the Moffat function in LR pixels, its 1 / beta, the share of the Gaussian, and the
        ratio of the FWHM of both.
    covariance
        Of these, ``(4, 4)``.
    """

    shape: Plane
    covariance: Plane


@dataclass(frozen=True, slots=True)
class Registration:
    """How an LR image follows from an HR image.

    Parameters
    ----------
    dy, dx
        Position of sources in LR minus their position in HR: rows and columns, in LR pixels.
    error
        The larger of their standard errors.
    ratio, ratio_error
        Flux in LR over flux in HR, and its standard error.
    sky
        Level of LR above HR, per pixel.
    fwhm
        FWHM of the Moffat function that blurs HR to the seeing of LR, in LR pixels.
    """

    dy: float
    dx: float
    error: float
    ratio: float
    ratio_error: float
    sky: float
    fwhm: float


def register(
    lr: Plane,
    hr: Plane,
    scale: int,
    *,
    weight: Plane,
    search: float,
    photons: Plane | None = None,
    kernel: Kernel | None = None,
) -> Registration | None:
    """Fit an LR image by the HR image, blurred, shifted, scaled and summed over LR pixels.

    The blur matches the PSFs, so that the flux ratio is that of whole
    sources, and the offset is measured between equal profiles. The fit starts at the peak of the
    cross-correlation within the search radius.

    Parameters
    ----------
    lr, hr
        Flux per pixel, ``(h, w)`` and ``(scale h, scale w)``.
    scale
        Side of HR over side of LR.
    weight
        Inverse standard deviation of the noise in `lr`, ``(h, w)``; 0 for bad pixels.
    search
        Largest offset along either axis, in LR pixels.
    photons
        Variance of the photon noise of the sources in `hr`, if known, see :func:`_photon_scores`.
    kernel
        The blur, whose covariance adds to the errors; None fits a Moffat function.

    Returns
    -------
    Registration or None
        None if the fit does not converge to an offset within the search radius, as on empty sky.
    """
    weight = weight * _inner(lr.shape)
    model = _Model(hr, scale)
    start = model.coarse_offset(lr, weight, search)
    shape = FIRST_SHAPE if kernel is None else kernel.shape
    expected = model(*start, *shape)
    ratio = float((weight**2 * lr * expected).sum() / max((weight**2 * expected**2).sum(), 1e-300))
    x = np.array([*start, *shape, max(ratio, 1e-3), 0.0])
    blur = [2, 3, 4, 5]
    free = [0, 1, 2, 3, 6, 7] if kernel is None else [0, 1, 6, 7]

    def residuals(values: Plane, places: list[int] = free) -> Plane:
        given = x.copy()
        given[places] = values
        return np.ravel(weight * (lr - given[6] * model(*given[:6]) - given[7]))

    low = np.array([-search - 1, -search - 1, *LEAST_SHAPE, 0, -np.inf])
    high = np.array([search + 1, search + 1, *LARGEST_SHAPE, np.inf, np.inf])
    found = least_squares(residuals, x[free], bounds=(low[free], high[free]), x_scale="jac")
    x[free] = found.x
    if not found.success or max(abs(x[0]), abs(x[1])) > search:
        return None
    inverse = np.linalg.pinv(found.jac.T @ found.jac)
    scores = _scores(found.jac, found.fun, weight > 0)
    if photons is not None:
        scores = scores + _photon_scores(model, tuple(x[:6]), x[6], weight, found.jac, photons)
    covariance = inverse @ scores @ inverse
    if kernel is not None:
        steps = np.diag(1e-3 * np.subtract(LARGEST_SHAPE, LEAST_SHAPE))
        change = [residuals(x[blur] + s, blur) - residuals(x[blur] - s, blur) for s in steps]
        by_kernel = np.stack(change, axis=1) / (2 * np.diag(steps))
        lever = np.linalg.pinv(found.jac) @ by_kernel
        covariance = covariance + lever @ kernel.covariance @ lever.T
    errors = dict(zip(free, np.sqrt(np.diag(covariance)).tolist(), strict=True))
    dy, dx, ratio, sky = (float(x[place]) for place in (0, 1, 6, 7))
    return Registration(dy, dx, max(errors[0], errors[1]), ratio, errors[6], sky, float(x[2]))


@dataclass(frozen=True, slots=True, eq=False)
class RegisteredPair:
    """A pair as for :func:`register`, and its registration with a kernel of its own."""

    lr: Plane
    hr: Plane
    weight: Plane
    photons: Plane | None
    found: Registration


def fit_kernel(pairs: Sequence[RegisteredPair], scale: int) -> Kernel:
    """Fit one kernel to several pairs of the same two images, each with its own flux and sky.

    Parameters
    ----------
    pairs
        The pairs, with their offsets. The fit starts with the width of the first.
    scale
        Side of HR over side of LR.
    """
    models = [_Model(pair.hr, scale) for pair in pairs]
    weights = [pair.weight * _inner(pair.lr.shape) for pair in pairs]

    def residuals(shape: Plane) -> Plane:
        found = []
        for pair, model, weight in zip(pairs, models, weights, strict=True):
            expected = (weight * model(pair.found.dy, pair.found.dx, *shape)).ravel()
            design = np.stack([expected, weight.ravel()], axis=1)
            observed = (weight * pair.lr).ravel()
            found.append(observed - design @ np.linalg.lstsq(design, observed)[0])
        return np.concatenate(found)

    # With no Gaussian at all, its width would have no effect.
    start = (pairs[0].found.fwhm, FIRST_SHAPE[1], 0.05, FIRST_SHAPE[3])
    bounds = (LEAST_SHAPE, LARGEST_SHAPE)
    fit = least_squares(residuals, start, bounds=bounds, x_scale="jac")
    ends = np.cumsum([weight.size for weight in weights])[:-1]
    jacobians, parts = np.split(fit.jac, ends), np.split(fit.fun, ends)
    scores = np.zeros((len(fit.x), len(fit.x)))
    for pair, model, weight, jacobian, part in zip(
        pairs, models, weights, jacobians, parts, strict=True
    ):
        scores += _scores(jacobian, part, weight > 0)
        if pair.photons is not None:
            place = (pair.found.dy, pair.found.dx, *fit.x)
            ratio = pair.found.ratio
            scores += _photon_scores(model, place, ratio, weight, jacobian, pair.photons)
    inverse = np.linalg.pinv(fit.jac.T @ fit.jac)
    return Kernel(fit.x, inverse @ scores @ inverse)


def _scores(jacobian: Plane, residuals: Plane, used: NDArray[np.bool_]) -> Plane:
    """Return the covariance of the gradient of a fit, from the power spectrum of its residuals.

    Neighbouring pixels of a coadd share noise, the noise of HR is blurred, and what the model
    cannot fit, such as a colour gradient, counts as noise: none of this is in the variance of LR.
    The errors are those of least squares with noise of any isotropic power spectrum
    (the sandwich estimator, White 1980, Econometrica 48, 817).

    Parameters
    ----------
    jacobian, residuals
        Of all pixels, divided by the standard deviation of the noise: ``(h w, n)`` and ``(h w,)``.
    used
        The pixels of the fit, ``(h, w)``; all others are 0.
    """
    columns = jacobian.T.reshape(-1, *used.shape)
    basis = np.linalg.qr(jacobian)[0].T.reshape(columns.shape)
    rows, across = (np.fft.fftfreq(side)[:, None] for side in used.shape)
    radius = np.hypot(rows, across.T) * min(used.shape)
    ring = (radius // RING).astype(int).ravel()
    found = np.abs(np.fft.fft2(residuals.reshape(used.shape))) ** 2
    # The power that white noise would leave: the fit removes that of its own parameters.
    white = used.sum() - (np.abs(np.fft.fft2(basis)) ** 2).sum(0)
    power = np.bincount(ring, found.ravel()) / np.bincount(ring, white.ravel())
    spectra = np.fft.fft2(columns).reshape(len(columns), -1)
    scores: Plane = ((spectra.conj() * power[ring]) @ spectra.T).real / used.size
    return scores


def _photon_scores(
    model: _Model,
    place: Sequence[float],
    ratio: float,
    weight: Plane,
    jacobian: Plane,
    photons: Plane,
) -> Plane:
    """Return what the photon noise of HR adds to the covariance of the gradient of a fit.

    It is concentrated where sources are bright, and the fitted flux absorbs it there: the
    residuals, whose power is averaged over the cutout, hardly show it.

    Parameters
    ----------
    model, place, ratio
        The model, the offset and the shape of its kernel, and the flux ratio.
    weight, jacobian
        Of the fit, as for :func:`_scores`.
    photons
        Variance of the photon noise in HR, whose pixels need not be independent as long as the
        noise of sums is that of the photons.
    """
    columns = jacobian.T.reshape(-1, *weight.shape)
    levers = np.stack([model.transpose(weight * each, *place) for each in columns])
    scores: Plane = ratio**2 * np.einsum("ihw,jhw,hw->ij", levers, levers, photons)
    return scores


class _Model:
    """The LR image expected from an HR image, computed in Fourier space.

    astropy and photutils have Moffat kernels and shifts, but each would resample HR once more.
    """

    def __init__(self, hr: Plane, scale: int) -> None:
        self.scale, self.shape = scale, hr.shape
        self.spectrum = np.fft.rfft2(hr)
        self.frequency_y = np.fft.fftfreq(hr.shape[0])[:, None]
        self.frequency_x = np.fft.rfftfreq(hr.shape[1])
        y, x = (np.fft.fftfreq(side, 1 / side) for side in hr.shape)  # distances, wrapped
        self.radius2 = y[:, None] ** 2 + x**2

    def __call__(
        self, dy: float, dx: float, fwhm: float, wings: float, share: float, broad: float
    ) -> Plane:
        """Blur, shift (in LR pixels) and sum over LR pixels."""
        response = self._response(dy, dx, fwhm, wings, share, broad)
        blurred = np.fft.irfft2(self.spectrum * response, s=self.shape)
        height, width = (side // self.scale for side in self.shape)
        summed: Plane = blurred.reshape(height, self.scale, width, self.scale).sum((1, 3))
        return summed

    def transpose(self, lr: Plane, *place: float) -> Plane:
        """Apply the transposed operator, for the offset and shape of `place`, to LR pixels."""
        spread = lr.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
        response = np.conj(self._response(*place))
        found: Plane = np.fft.irfft2(np.fft.rfft2(spread) * response, s=self.shape)
        return found

    def _response(
        self, dy: float, dx: float, fwhm: float, wings: float, share: float, broad: float
    ) -> Spectrum:
        """Return the Fourier transform of the shifted kernel."""
        beta = 1 / wings
        core = fwhm * self.scale / 2 / np.sqrt(2**wings - 1)
        kernel = (1 + self.radius2 / core**2) ** -beta
        kernel *= (1 - share) / kernel.sum()
        if share:
            second = np.exp(-self.radius2 / 2 / (broad * fwhm * self.scale / 2.3548) ** 2)
            kernel += share / second.sum() * second
        turn = np.exp(-2j * np.pi * self.scale * (self.frequency_y * dy + self.frequency_x * dx))
        response: Spectrum = np.fft.rfft2(kernel) * turn
        return response

    def coarse_offset(self, lr: Plane, weight: Plane, search: float) -> tuple[float, float]:
        """Return the peak of the cross-correlation, in whole LR pixels."""
        good = weight > 0
        level = np.median(lr[good])
        observed = np.where(good, lr - level, 0.0)
        expected = self(0.0, 0.0, *FIRST_SHAPE)
        expected = np.where(good, expected - np.median(expected[good]), 0.0)
        product = np.fft.rfft2(observed) * np.conj(np.fft.rfft2(expected))
        correlation = np.fft.irfft2(product, s=lr.shape)
        y, x = (np.fft.fftfreq(side, 1 / side) for side in lr.shape)
        near = (np.abs(y)[:, None] <= search) & (np.abs(x) <= search)
        row, column = np.unravel_index(np.where(near, correlation, -np.inf).argmax(), lr.shape)
        return float(y[row]), float(x[column])


def _inner(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask of the pixels that the fit uses, away from the edges."""
    inside = np.zeros(shape, bool)
    top, left = (max(1, round(BORDER * side)) for side in shape)
    inside[top : shape[0] - top, left : shape[1] - left] = True
    return inside
