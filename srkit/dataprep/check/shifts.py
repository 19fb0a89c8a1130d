"""The offset between the images of a pair, with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from srkit.functional.resizing import resize

#: Largest side in LR pixels of the central part in which pairs are compared.
LARGEST = 256
#: Width of the rings of spatial frequencies, in cycles per side.
RING = 3.0
#: Share of the frequencies that count as independent. A Hann window leaves (2/3)**2; with this,
#: the offsets of simulated pairs scatter as their errors say.
INDEPENDENT = 0.3
#: Step in LR pixels by which the curvature of the likelihood is measured.
STEP = 0.1

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shift:
    """The offset of LR from HR.

    Parameters
    ----------
    down, right
        LR pixels by which LR lies below and to the right of HR.
    error
        Standard error of the offset along either axis; infinite if the images share nothing.
    """

    down: float
    right: float
    error: float

    @property
    def distance(self) -> float:
        """The length of the offset in LR pixels."""
        return math.hypot(self.down, self.right)


def shift_between(hr: Tensor, lr: Tensor) -> Shift:
    """Measure the offset of LR from HR, and its error.

    HR is averaged over LR's pixels. In each ring of spatial frequencies, LR is the moved HR times
    an unknown factor, since their PSFs differ, plus noise of unknown power. The likelihood of an
    offset then only depends on the correlations of the rings (Fourier ring correlation), r:
    log L = - sum n log(1 - r**2) for n independent frequencies of a ring.

    The error follows from the curvature at the maximum. It is at least the distance from zero over
    the root of twice the difference of log L to no offset, so that a maximum that is hardly better
    than no offset, as by noise, has a large error.

    Parameters
    ----------
    hr, lr
        ``(C, H, W)`` and ``(C, h, w)`` of the same field.
    """
    averaged = resize(hr[None], (lr.shape[-2], lr.shape[-1]), kernel="bilinear")[0]
    likelihood = _Likelihood(_windowed(averaged), _windowed(lr))
    start = [likelihood.peak(), (0.0, 0.0)]
    found = max((likelihood.maximum(*each) for each in start), key=lambda each: each[0])
    highest, down, right = found
    error = likelihood.error(down, right)
    gain = 2 * (highest - likelihood(0.0, 0.0))
    distance = math.hypot(down, right)
    doubt = distance / math.sqrt(gain) if gain > 0 else 0.0
    return Shift(down, right, max(error, doubt))


class _Likelihood:
    """The logarithm of the likelihood of an offset between two images of one size."""

    def __init__(self, first: Array, second: Array) -> None:
        self.shape = first.shape
        one, other = np.fft.rfft2(first), np.fft.rfft2(second)
        self.cross = other * one.conj()
        self.rows = np.fft.fftfreq(first.shape[0])[:, None]
        self.columns = np.fft.rfftfreq(first.shape[1])
        # The columns at the edges contain each frequency twice, as complex conjugates.
        weight = np.ones(self.cross.shape)
        weight[:, 0] = 0.5
        if first.shape[1] % 2 == 0:
            weight[:, -1] = 0.5
        weight[0, 0] = 0.0
        radius = np.hypot(self.rows, self.columns) * min(first.shape)
        self.rings = max(int(min(first.shape) / 2 / RING), 1)
        self.ring = np.minimum(radius // RING, self.rings).astype(int).ravel()
        powers = [self._sums(weight * np.abs(each) ** 2) for each in (one, other)]
        self.power = np.maximum(np.sqrt(powers[0] * powers[1]), 1e-300)
        self.weighted = weight * self.cross
        # One is used up by the factor of the ring.
        self.counts = np.maximum(INDEPENDENT * self._sums(weight) - 1, 0)

    def _sums(self, values: Array) -> Array:
        """Return the sum over each ring; the corners beyond the last ring are left out."""
        sums: Array = np.bincount(self.ring, values.ravel(), self.rings + 1).astype(np.float64)
        return sums[: self.rings]

    def __call__(self, down: float, right: float) -> float:
        turn = np.exp(2j * np.pi * down * self.rows) * np.exp(2j * np.pi * right * self.columns)
        correlation = self._sums((self.weighted * turn).real) / self.power
        return -float((self.counts * np.log1p(-(correlation.clip(0, 1 - 1e-9) ** 2))).sum())

    def peak(self) -> tuple[float, float]:
        """Return the peak of the cross-correlation in whole pixels.

        All frequencies are weighted by the root of their amplitude: low ones would hide the others.
        """
        weighted = self.cross / np.sqrt(np.abs(self.cross)).clip(1e-150)
        correlation = np.fft.irfft2(weighted, s=self.shape)
        row, column = np.unravel_index(correlation.argmax(), self.shape)
        height, width = self.shape
        down = row - height if row > height / 2 else row
        right = column - width if column > width / 2 else column
        return float(down), float(right)

    def maximum(self, down: float, right: float) -> tuple[float, float, float]:
        """Return the highest value near a place, and its place."""
        corners = [(down, right), (down + 0.5, right), (down, right + 0.5)]
        found = minimize(
            lambda place: -self(*place),
            (down, right),
            method="Nelder-Mead",
            options={"initial_simplex": corners, "xatol": 2e-3, "fatol": 1e-3},
        )
        return -float(found.fun), float(found.x[0]), float(found.x[1])

    def error(self, down: float, right: float) -> float:
        """Return the larger standard error of the axes, by the curvature; infinite without one."""
        values = np.array(
            [[self(down + i * STEP, right + j * STEP) for j in (-1, 0, 1)] for i in (-1, 0, 1)]
        )
        centre = values[1, 1]
        mixed = (values[2, 2] - values[2, 0] - values[0, 2] + values[0, 0]) / 4
        rows, columns = values[2, 1] + values[0, 1], values[1, 2] + values[1, 0]
        curvature = np.array([[rows - 2 * centre, mixed], [mixed, columns - 2 * centre]]) / STEP**2
        least = float(np.linalg.eigvalsh(-curvature).min())
        return 1 / math.sqrt(least) if least > 0 else math.inf


def _windowed(image: Tensor) -> Array:
    """Return the central part of the channels' mean, centred, in a Hann window."""
    grey = image.double().mean(0).numpy()
    top, left = (max(0, (side - LARGEST) // 2) for side in grey.shape)
    grey = grey[top : top + LARGEST, left : left + LARGEST]
    known = np.isfinite(grey)
    mean = float(grey[known].mean()) if known.any() else 0.0
    rows, columns = (np.hanning(side + 2)[1:-1] for side in grey.shape)
    windowed: Array = np.where(known, grey - mean, 0.0) * rows[:, None] * columns
    return windowed
