from __future__ import annotations

import math

import pytest
import torch
from scipy.ndimage import gaussian_filter
from sources_setup import SIDE, batch, gaussian, images, noise
from srkit_astro.metrics.consistency import ReducedChiSquare

from srkit.components.options import build
from srkit.interfaces import Batch

LOW = SIDE // 2
SCENE = images(gaussian(40.3, 47.8, 2000), gaussian(60, 36, 3000)).repeat(1, 2, 1, 1)
SIGMA = 0.5
#: Five times the scatter of the mean of as many squared normal deviates.
TOLERANCE = 5 * math.sqrt(2 / (2 * (LOW - 8) ** 2))


def observe(blur: float = 0.0, seed: int = 0) -> Batch:
    """Simulate LR with scipy: a Gaussian blur in HR pixels, block means, and noise."""
    blurred = gaussian_filter(SCENE.double().numpy(), (0, 0, blur, blur), truncate=8)
    mean = torch.from_numpy(blurred).reshape(2, 2, LOW, 2, LOW, 2).mean((3, 5)).float()
    lr = mean + noise(*mean.shape, seed=seed, sigma=SIGMA)
    return batch(SCENE, lr=lr, variance=torch.full_like(lr, SIGMA**2))


def psf(sigma: float) -> dict[str, object]:
    """Return the options of a Gaussian PSF with a sigma in HR pixels, which includes the pixel."""
    narrower = math.sqrt(sigma**2 - 1 / 12)
    return {"type": "gaussian", "fwhm": 2.3548 * 0.05 * narrower}


def test_hr_is_consistent_within_the_noise() -> None:
    found = ReducedChiSquare()(SCENE, observe())
    assert found.tolist() == pytest.approx([1, 1], abs=TOLERANCE)


def test_only_the_right_psf_is_consistent() -> None:
    observed = observe(blur=3)
    right = build(ReducedChiSquare, {"psf": psf(3)})(SCENE, observed)
    assert right.tolist() == pytest.approx([1, 1], abs=TOLERANCE)
    wrong = build(ReducedChiSquare, {"psf": psf(4)})(SCENE, observed)
    assert wrong.min().item() > 1.2


def test_the_psf_of_hr_is_matched() -> None:
    """The matching kernel from sigma 2 to sigma 4 is a Gaussian with sigma sqrt(12)."""
    metric = build(ReducedChiSquare, {"psf": psf(4), "source": psf(2)})
    found = metric(SCENE, observe(blur=math.sqrt(12)))
    assert found.tolist() == pytest.approx([1, 1], abs=TOLERANCE)


def test_a_bias_adds_its_square_over_the_variance() -> None:
    found = ReducedChiSquare()(SCENE + 1, observe())
    assert found.tolist() == pytest.approx([1 + 1 / SIGMA**2] * 2, abs=3 * TOLERANCE)


def test_copying_the_noise_gives_zero() -> None:
    observed = observe()
    assert observed.lr is not None
    copied = observed.lr.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert ReducedChiSquare()(copied, observed).tolist() == pytest.approx([0, 0], abs=1e-10)


def test_the_variance_may_differ_between_pixels() -> None:
    observed = observe()
    assert observed.variance is not None
    assert observed.lr is not None
    observed.variance[:, :, :, ::2] *= 4
    expected = (observed.lr - torch.nn.functional.avg_pool2d(SCENE, 2)) ** 2 / observed.variance
    found = ReducedChiSquare(border=0)(SCENE, observed)
    torch.testing.assert_close(found, expected.double().mean((1, 2, 3)), rtol=1e-4, atol=0)


def test_without_a_variance_the_scatter_of_the_sky_is_used() -> None:
    observed = observe()
    found = ReducedChiSquare()(SCENE, batch(SCENE, lr=observed.lr))
    assert found.tolist() == pytest.approx([1, 1], abs=0.15)


def test_without_noise_the_value_is_undefined() -> None:
    flat = torch.ones(1, 1, 32, 32)
    assert math.isnan(ReducedChiSquare()(flat, batch(flat)).item())


def test_the_border_is_left_out() -> None:
    observed = observe()
    assert observed.lr is not None
    observed.lr[:, :, :3] = 1e6
    assert ReducedChiSquare(border=3)(SCENE, observed).max().item() < 1.5
    assert ReducedChiSquare(border=2)(SCENE, observed).min().item() > 1e6


def test_invalid_options_are_refused() -> None:
    flat = torch.ones(1, 1, 16, 16)
    message = r"^a border of 4 pixels leaves none of the 8 x 8 pixels of LR; set a smaller one$"
    with pytest.raises(ValueError, match=message):
        ReducedChiSquare()(flat, batch(flat))
    with pytest.raises(ValueError, match=r"^'source' needs 'psf', the PSF of LR to match"):
        build(ReducedChiSquare, {"source": psf(2)})
    with pytest.raises(ValueError, match=r"^got a range; expected a PSF with fixed parameters$"):
        build(ReducedChiSquare, {"psf": {"type": "gaussian", "fwhm": [0.4, 0.8]}})
    with pytest.raises(ValueError, match=r"^the data set has no pixel scale"):
        build(ReducedChiSquare, {"psf": psf(2)})(SCENE, batch(SCENE, pixel_scale=None))
