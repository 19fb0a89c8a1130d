"""Registration of an LR image on an HR image of the same sky: offset, flux ratio and seeing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from srkit_astro.pairing.sky_images import Plane

#: Margin that the fit leaves out at each edge, as a fraction of the side: the blur wraps around.
BORDER = 1 / 8
#: Limits of the FWHM of the kernel in LR pixels, and of 1 / beta.
WIDTHS, WINGS = (0.5, 12.0), (0.05, 0.65)


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
        FWHM of the Moffat kernel that blurs HR to the seeing of LR, in LR pixels.
    """

    dy: float
    dx: float
    error: float
    ratio: float
    ratio_error: float
    sky: float
    fwhm: float


def register(
    lr: Plane, hr: Plane, scale: int, *, weight: Plane, search: float
) -> Registration | None:
    """Fit an LR image by the HR image, blurred, shifted, scaled and summed over LR pixels.

    The blur is a Moffat function of free width and wings. It matches the PSFs, so that the flux
    ratio is that of whole sources, and the offset is measured between equal profiles. The fit
    starts at the peak of the cross-correlation within the search radius.

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

    Returns
    -------
    Registration or None
        None if the fit does not converge to an offset within the search radius, as on empty sky.
    """
    model = _Model(hr, scale)
    weight = weight * _inner(lr.shape)
    start = model.coarse_offset(lr, weight, search)
    kernel = (3.5, 0.33)
    shape = model(*start, *kernel)
    ratio = float((weight**2 * lr * shape).sum() / max((weight**2 * shape**2).sum(), 1e-300))
    guess = np.array([*start, *kernel, max(ratio, 1e-3), 0.0])

    def residuals(x: Plane) -> Plane:
        return np.ravel(weight * (lr - x[4] * model(*x[:4]) - x[5]))

    low = [-search - 1, -search - 1, WIDTHS[0], WINGS[0], 0, -np.inf]
    high = [search + 1, search + 1, WIDTHS[1], WINGS[1], np.inf, np.inf]
    found = least_squares(residuals, guess, bounds=(low, high), x_scale="jac")
    dy, dx, fwhm, _, ratio, sky = found.x
    if not found.success or max(abs(dy), abs(dx)) > search:
        return None
    freedom = max(int((weight > 0).sum()) - len(guess), 1)
    # What the model cannot fit, such as a colour gradient, counts as noise.
    excess = max(1.0, 2 * found.cost / freedom)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * excess
    errors = np.sqrt(np.diag(covariance))
    return Registration(dy, dx, float(errors[:2].max()), ratio, float(errors[4]), sky, fwhm)


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

    def __call__(self, dy: float, dx: float, fwhm: float, wings: float) -> Plane:
        """Blur, shift (in LR pixels) and sum over LR pixels."""
        beta = 1 / wings
        core = fwhm * self.scale / 2 / np.sqrt(2**wings - 1)
        kernel = (1 + self.radius2 / core**2) ** -beta
        turn = np.exp(-2j * np.pi * self.scale * (self.frequency_y * dy + self.frequency_x * dx))
        blurred = np.fft.irfft2(
            self.spectrum * np.fft.rfft2(kernel / kernel.sum()) * turn, s=self.shape
        )
        height, width = (side // self.scale for side in self.shape)
        summed: Plane = blurred.reshape(height, self.scale, width, self.scale).sum((1, 3))
        return summed

    def coarse_offset(self, lr: Plane, weight: Plane, search: float) -> tuple[float, float]:
        """Return the peak of the cross-correlation, in whole LR pixels."""
        good = weight > 0
        level = np.median(lr[good])
        observed = np.where(good, lr - level, 0.0)
        expected = self(0.0, 0.0, 3.5, 0.33)
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
