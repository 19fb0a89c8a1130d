from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from astropy.modeling.models import Sersic2D
from sources_setup import batch, gaussian, images, noise
from srkit_astro.metrics.detection import detect
from srkit_astro.metrics.morphology import (
    HalfLightRadiusError,
    SersicIndexError,
    fit_sersic,
    half_light_radius,
    sersic_index,
)

SIDE = 112


def sersic(index: float, radius: float = 7.0, ellipticity: float = 0.3) -> np.ndarray:
    """Draw a Sersic profile with astropy, averaged over 5 x 5 samples per pixel."""
    y, x = (np.mgrid[: 5 * SIDE, : 5 * SIDE] - 2) / 5
    model = Sersic2D(1.0, radius, index, 55.3, 54.8, ellip=ellipticity, theta=0.6)
    return model(x, y).reshape(SIDE, 5, SIDE, 5).mean((1, 3))


@pytest.mark.parametrize(
    ("index", "tolerance"), [(0.5, 0.01), (1.0, 0.02), (2.5, 0.03), (4.0, 0.04)]
)
def test_the_index_of_a_sersic_profile(index: float, tolerance: float) -> None:
    light = sersic(index) + noise(SIDE, SIDE, sigma=0.02).double().numpy()
    found = detect(light)
    assert sersic_index(found.image, found) == pytest.approx(index, rel=tolerance)


def test_radius_and_flux_of_a_sersic_profile() -> None:
    """The references are the given radius, semi-major in astropy, and a numerical integral."""
    light = sersic(1.5)
    found = detect(light)
    fit = fit_sersic(found.image, found)
    assert fit is not None
    assert fit.radius == pytest.approx(7 * math.sqrt(0.7), rel=0.02)
    radii = np.arange(0.005, 200, 0.01)
    profile = Sersic2D(1.0, 7, 1.5)(radii, 0 * radii)
    assert fit.flux == pytest.approx(0.7 * (2 * math.pi * radii * profile).sum() * 0.01, rel=0.02)


def test_the_index_of_a_gaussian_is_a_half() -> None:
    found = detect(gaussian(48, 47, sigma=4, ratio=0.7, angle=1).numpy())
    assert sersic_index(found.image, found) == pytest.approx(0.5, abs=0.005)


def test_the_fit_agrees_with_statmorph() -> None:
    """The profile has no cusp, since statmorph samples profiles at the centres of pixels."""
    statmorph = pytest.importorskip("statmorph")
    light = sersic(0.8) + noise(SIDE, SIDE, seed=3, sigma=0.02).double().numpy()
    found = detect(light)
    labels = (found.image > 0.1) & (np.hypot(*(np.indices(light.shape) - 55)) < 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of statmorph
        theirs = statmorph.SourceMorphology(
            found.image, labels.astype(int), label=1, weightmap=np.full(light.shape, 0.02)
        )
        expected = theirs.sersic_n
    assert sersic_index(found.image, found) == pytest.approx(expected, rel=0.03)


def test_errors_of_the_index_are_differences() -> None:
    hr, sr = (images(*[torch.from_numpy(sersic(n)) for n in pair]) for pair in ((1, 2), (1.5, 1)))
    assert SersicIndexError()(sr, batch(hr)).tolist() == pytest.approx([0.5, -1.0], abs=0.1)
    assert SersicIndexError()(hr, batch(hr)).tolist() == [0.0, 0.0]
    assert SersicIndexError.signed


def test_a_fit_that_ends_at_a_bound_has_failed() -> None:
    found = detect(gaussian(48, 48).numpy())
    y, x = np.indices(found.image.shape)
    disc = (np.hypot(x - 48, y - 48) < 8).astype(float)
    assert math.isnan(sersic_index(disc, found))
    assert math.isnan(sersic_index(-found.image, found))


def test_the_half_light_radius_of_a_gaussian_is_1_18_sigma() -> None:
    found = detect(gaussian(48, 48, sigma=4).numpy())
    radius = half_light_radius(found.image, found)
    assert radius == pytest.approx(4 * math.sqrt(2 * math.log(2)), rel=0.01)
    assert math.isnan(half_light_radius(-found.image, found))


def test_errors_of_the_radius_are_relative() -> None:
    hr = images(gaussian(48, 48, sigma=4), gaussian(40, 50, sigma=3)).repeat(1, 2, 1, 1)
    sr = images(gaussian(48, 48, sigma=5), gaussian(40, 50, sigma=2.4)).repeat(1, 2, 1, 1)
    found = HalfLightRadiusError()(sr, batch(hr))
    assert found.tolist() == pytest.approx([0.25, -0.2], abs=0.005)
    assert HalfLightRadiusError()(hr, batch(hr)).tolist() == [0.0, 0.0]
    assert HalfLightRadiusError.signed


def test_the_brightest_source_is_measured() -> None:
    hr = images(gaussian(30, 30, flux=50) + gaussian(66, 66, flux=100))
    sr = images(gaussian(30, 30, flux=50, sigma=1.5) + gaussian(66, 66, flux=100, sigma=3.3))
    assert HalfLightRadiusError()(sr, batch(hr)).item() == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("metric", [SersicIndexError(), HalfLightRadiusError()])
def test_values_without_whole_sources_are_undefined(metric: SersicIndexError) -> None:
    hr = images(torch.ones(96, 96), gaussian(0, 48))
    assert np.isnan(metric(hr, batch(hr)).numpy()).all()
