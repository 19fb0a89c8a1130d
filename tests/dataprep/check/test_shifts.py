"""Offsets of pairs: photographs, and simulated galaxies with noise and different PSFs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as shifted
from skimage import data
from skimage.registration import phase_cross_correlation
from torch import Tensor

from srkit.dataprep.check.issues import _is_misaligned
from srkit.dataprep.check.shifts import Shift, shift_between
from srkit.functional.resizing import resize

Array = NDArray[np.float64]
#: Flux, row and column in HR pixels, and covariance.
Source = tuple[float, float, float, Array]

#: Side of LR.
SIDE = 48
#: Weights and standard deviations in HR pixels of the Gaussians of a PSF with wings.
HR_PSF = ((0.7, 0.9), (0.3, 2.2))


@pytest.mark.parametrize("offset", [(0.0, 0.0), (1.0, 0.0), (0.6, -1.4), (-3.0, 2.5)])
def test_the_shift_agrees_with_scikit_image(offset: tuple[float, float]) -> None:
    photo = torch.from_numpy(data.astronaut()[100:356, 80:336].copy()).movedim(-1, 0) / 255
    lr = resize(photo[None], factor=0.5)[0]
    moved = torch.from_numpy(shifted(lr.numpy(), (0, *offset), order=3, mode="nearest"))
    found = shift_between(photo, moved)
    assert (found.down, found.right) == pytest.approx(offset, abs=0.15)
    theirs, *_ = phase_cross_correlation(
        moved.mean(0).numpy(), lr.mean(0).numpy(), upsample_factor=20
    )
    assert (found.down, found.right) == pytest.approx(tuple(theirs), abs=0.15)
    assert _is_misaligned(found) is any(offset)


def galaxies(rng: np.random.Generator) -> list[Source]:
    """One to eleven galaxies, the first at the centre."""
    found = []
    for number in range(rng.integers(1, 12)):
        flux = 10 ** rng.uniform(0, 1.5) if number else 40.0
        y, x = rng.uniform(0, 2 * SIDE, 2) if number else rng.uniform(SIDE - 3, SIDE + 3, 2)
        size, axes, angle = np.exp(rng.uniform(-1, 1.5)), rng.uniform(0.4, 1), rng.uniform(0, 3.14)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        covariance = turn @ np.diag([size**2, (axes * size) ** 2]) @ turn.T
        found += [(0.6 * flux, y, x, 0.5 * covariance), (0.4 * flux, y, x, 2.5 * covariance)]
    return found


def observed(
    sources: Sequence[Source],
    psf: Sequence[tuple[float, float]],
    pixel: int,
    offset: tuple[float, float],
) -> Array:
    """Render sources, in flux per LR pixel, in pixels of `pixel` HR pixels."""
    centres = (np.arange(2 * SIDE // pixel) + 0.5) * pixel - 0.5
    y, x = np.meshgrid(centres, centres, indexing="ij")
    image = np.zeros(y.shape)
    for flux, row, column, covariance in sources:
        for share, sigma in psf:
            whole = covariance + (sigma**2 + pixel**2 / 12) * np.eye(2)
            inverse = np.linalg.inv(whole)
            dy, dx = y - row - 2 * offset[0], x - column - 2 * offset[1]
            power = inverse[0, 0] * dy**2 + 2 * inverse[0, 1] * dy * dx + inverse[1, 1] * dx**2
            peak = 4 * flux * share / (2 * np.pi * np.sqrt(np.linalg.det(whole)))
            image += peak * np.exp(-power / 2)
    return image


def pair(
    rng: np.random.Generator, distance: float, snr: float
) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """A pair with white or correlated noise, and the offset of LR, of any direction."""
    sources, angle = galaxies(rng), rng.uniform(0, 2 * np.pi)
    offset = distance * np.sin(angle), distance * np.cos(angle)
    sigma = rng.uniform(3, 5) * 2 / 2.355
    hr = observed(sources, HR_PSF, 1, (0, 0))
    lr = observed(sources, ((0.75, sigma), (0.25, 2 * sigma)), 2, offset)
    noise = 40 / np.sqrt(4 * np.pi * (sigma**2 / 4 + 2)) / snr
    field = gaussian_filter(rng.normal(size=lr.shape), rng.choice([1e-3, 0.8]), mode="wrap")
    lr += noise * field / field.std()
    hr += noise / 3 * rng.normal(size=hr.shape)
    hr_image, lr_image = (torch.from_numpy(each.astype(np.float32))[None] for each in (hr, lr))
    return hr_image, lr_image, offset


def measured(distance: float, snr: float, count: int) -> tuple[list[Shift], list[float]]:
    """Measure pairs whose offsets are up to `distance`; also return deviations over errors."""
    rng = np.random.default_rng(int(snr))
    found, pulls = [], []
    for _ in range(count):
        hr, lr, offset = pair(rng, distance if distance >= 1 else rng.uniform(0, distance), snr)
        shift = shift_between(hr, lr)
        found.append(shift)
        pulls += [(shift.down - offset[0]) / shift.error, (shift.right - offset[1]) / shift.error]
    return found, pulls


@pytest.mark.parametrize("snr", [3, 10, 30, 300])
def test_no_good_pair_is_accused(snr: float) -> None:
    """True offsets of 0 to 0.2 LR pixels; where there is light, errors are those of the sample."""
    found, pulls = measured(0.2, snr, 30)
    assert not any(map(_is_misaligned, found))
    if snr >= 300:
        assert 1.4826 * np.median(np.abs(pulls)) == pytest.approx(1, abs=0.35)


def test_a_shift_of_a_pixel_is_found_in_bright_pairs() -> None:
    found, _ = measured(1, 3000, 20)
    assert all(map(_is_misaligned, found))
    assert max(shift.error for shift in found) < 0.1


def test_images_without_anything_in_common_have_a_large_error() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        hr, lr = (torch.from_numpy(rng.normal(size=(1, n, n))) for n in (2 * SIDE, SIDE))
        assert not _is_misaligned(shift_between(hr, lr))
    tiny = shift_between(torch.rand(1, 4, 4), torch.rand(1, 2, 2))
    assert tiny.error == math.inf
