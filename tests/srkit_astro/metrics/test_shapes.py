from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch
from sources_setup import SIDE, batch, gaussian, images, noise
from srkit_astro.metrics.shapes import (
    CentroidShift,
    EllipticityError,
    FwhmGain,
    SizeError,
    adaptive_moments,
)


def distortion(ratio: float, angle: float) -> complex:
    return (1 - ratio**2) / (1 + ratio**2) * cmath.exp(2j * angle)


def test_a_known_shift_is_measured_in_milliarcseconds() -> None:
    hr = images(gaussian(40.2, 47.6) + gaussian(70, 72), gaussian(50, 30, ratio=0.6, angle=1))
    sr = images(gaussian(40.5, 48.0) + gaussian(70.3, 72.4), gaussian(50.3, 30, ratio=0.6, angle=1))
    found = CentroidShift()(sr.repeat(1, 2, 1, 1), batch(hr.repeat(1, 2, 1, 1)))
    # 0.5 and 0.3 pixels of 50 mas
    assert found.tolist() == pytest.approx([25.0, 15.0], abs=0.05)
    assert CentroidShift()(hr, batch(hr)).tolist() == [0.0, 0.0]


def test_the_shift_due_to_noise_agrees_with_theory() -> None:
    """Its scatter along an axis is ``sqrt(8 pi) sigma**2 noise / flux`` for a matched window."""
    light, sigma = gaussian(48, 48, flux=1000), 0.2
    stack = torch.stack([light] * 150)[:, None].float()
    sr = stack + noise(*stack.shape, seed=1, sigma=sigma)
    found = CentroidShift()(sr, batch(stack)) / 50
    expected = math.sqrt(8 * math.pi) * 9 * sigma / 1000
    # The mean of a Rayleigh distribution with this scatter.
    assert found.mean().item() == pytest.approx(expected * math.sqrt(math.pi / 2), rel=0.12)


def test_the_shift_needs_the_pixel_scale() -> None:
    hr = images(gaussian(40, 40))
    with pytest.raises(ValueError, match=r"^the data set has no pixel scale"):
        CentroidShift()(hr, batch(hr, pixel_scale=None))


@pytest.mark.parametrize(("ratio", "angle"), [(1.0, 0.0), (0.5, 0.4), (0.7, -1.1)])
def test_moments_of_a_sheared_gaussian(ratio: float, angle: float) -> None:
    found = adaptive_moments(gaussian(40.3, 52.8, 1, 4, ratio, angle).numpy(), 41, 52, 3)
    assert found is not None
    assert found.centre == pytest.approx([40.3, 52.8], abs=1e-4)
    assert found.size == pytest.approx(4 * math.sqrt(ratio), rel=1e-3)
    assert found.ellipticity == pytest.approx(distortion(ratio, angle), abs=1e-3)


def test_moments_agree_with_galsim() -> None:
    galsim = pytest.importorskip("galsim")
    galaxy = galsim.Sersic(n=1.5, half_light_radius=5).shear(q=0.6, beta=30 * galsim.degrees)
    image = galsim.Convolve(galaxy, galsim.Gaussian(sigma=2)).drawImage(nx=SIDE, ny=SIDE, scale=1)
    image.addNoise(galsim.GaussianNoise(galsim.BaseDeviate(1), sigma=1e-4))
    theirs = galsim.hsm.FindAdaptiveMom(image)
    found = adaptive_moments(image.array.astype(float), 48, 47, 4)
    assert found is not None
    assert found.size == pytest.approx(theirs.moments_sigma, rel=2e-3)
    shape = complex(theirs.observed_e1, theirs.observed_e2)
    assert found.ellipticity == pytest.approx(shape, abs=2e-3)
    # GalSim counts from 1.
    centre = [theirs.moments_centroid.x - 1, theirs.moments_centroid.y - 1]
    assert found.centre == pytest.approx(centre, abs=5e-3)


def test_undefined_moments_are_none() -> None:
    light = gaussian(40, 40).numpy()
    assert adaptive_moments(-light, 40, 40, 3) is None  # no flux
    assert adaptive_moments(np.ones((SIDE, SIDE)), 40, 40, 3) is None  # grows beyond the stamp
    assert adaptive_moments(light, 52, 40, 3) is None  # drifts to the source


def test_ellipticities_are_compared_as_complex_numbers() -> None:
    hr = images(gaussian(40, 48, sigma=4, ratio=0.6, angle=0.3))
    for ratio, angle in ((0.6, 0.3), (0.8, 0.3), (0.6, 1.2)):
        sr = images(gaussian(40, 48, sigma=4, ratio=ratio, angle=angle))
        expected = abs(distortion(ratio, angle) - distortion(0.6, 0.3))
        found = EllipticityError()(sr, batch(hr)).item()
        assert found == pytest.approx(expected, abs=2e-3)


def test_errors_of_the_size_are_relative() -> None:
    hr = images(gaussian(30, 30) + gaussian(70, 62))
    sr = images(gaussian(30, 30, sigma=3.3) + gaussian(70, 62, sigma=3.6))
    assert SizeError()(sr, batch(hr)).item() == pytest.approx(0.15, abs=2e-3)
    assert SizeError.signed


@pytest.mark.parametrize(
    ("sigma", "gain"), [(2.0, 1.0), (4.0, 0.0), (3.0, 0.5), (1.5, 0.75), (5.0, -0.5)]
)
def test_the_gain_is_the_recovered_fraction_of_the_fwhm(sigma: float, gain: float) -> None:
    hr, lr, sr = (images(gaussian(48, 48, sigma=s)) for s in (2.0, 4.0, sigma))
    assert FwhmGain()(sr, batch(hr, lr=lr)).item() == pytest.approx(gain, abs=0.01)


def test_positions_of_lr_and_hr_agree() -> None:
    """LR enlarged by repetition has no gain."""
    hr = images(gaussian(47.3, 48.9, sigma=2))
    lr = torch.nn.functional.avg_pool2d(images(gaussian(47.3, 48.9, sigma=4)), 2)
    enlarged = lr.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert FwhmGain()(enlarged, batch(hr, lr=lr)).item() == pytest.approx(0, abs=1e-6)
    assert CentroidShift()(enlarged, batch(hr, lr=lr)).item() < 2  # a pixel is 50 mas


def test_the_gain_is_undefined_if_lr_is_as_sharp_as_hr() -> None:
    hr = images(gaussian(48, 48))
    assert math.isnan(FwhmGain()(hr, batch(hr, lr=hr)).item())


@pytest.mark.parametrize("metric", [CentroidShift(), EllipticityError(), SizeError(), FwhmGain()])
def test_values_without_whole_sources_are_undefined(metric: SizeError) -> None:
    hr = images(torch.ones(SIDE, SIDE), gaussian(0, 48))
    assert np.isnan(metric(hr, batch(hr)).numpy()).all()
