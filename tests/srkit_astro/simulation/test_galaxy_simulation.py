"""The data set of simulated galaxies, and fits of their parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest
from srkit_astro.metrics.detection import detect
from srkit_astro.metrics.morphology import fit_sersic, half_light_radius
from srkit_astro.simulation.galaxy_simulation import GalaxySimulation
from srkit_astro.simulation.lens_simulation import LensSimulation

from srkit.components.options import build
from srkit.testing import check_dataset


def make(scale: int = 2, **given: Any) -> GalaxySimulation:
    """Build the data set from options, like a recipe."""
    built = build(GalaxySimulation, {"length": 30, "size": 32, **given}, scale=scale)
    assert isinstance(built, GalaxySimulation)
    return built


def test_contract() -> None:
    check_dataset(make())
    check_dataset(make(3, hr_noise=False, lr_noise=False))


def test_samples_have_the_properties_of_lens_samples() -> None:
    sample, lens = make()[4], LensSimulation(scale=2, length=5, size=32)[4]
    assert sample.name == "train_000004"
    for name in ("unit", "pixel_scale", "data_range", "zero_point"):
        assert getattr(sample, name) == getattr(lens, name)
    assert sample.variance is not None
    assert sample.variance.shape == sample.lr.shape == (1, 32, 32)  # type: ignore[union-attr]
    assert make(lr_noise=False)[4].variance is None


def test_hr_and_lr_have_the_true_flux() -> None:
    population = {"radius": [0.2, 0.6], "index": [0.5, 2]}
    data = make(3, size=64, population=population)
    for index in range(5):
        hr, lr = data.observe(index)
        true = 10 ** (0.4 * (27 - data.galaxy(index).magnitude))
        assert hr.sum() / 9 == pytest.approx(lr.sum(), rel=1e-9)
        assert lr.sum() == pytest.approx(true, rel=0.01)


def test_galaxies_with_a_cusp_have_the_true_flux() -> None:
    """With index 6, part of the light lies beyond a small image."""
    population = {"radius": [0.2, 0.2], "index": [6, 6], "magnitude": [21, 21]}
    narrow, wide = (make(size=size, population=population).observe(0)[1] for size in (48, 144))
    true = 10 ** (0.4 * 6)
    assert wide.sum() == pytest.approx(true, rel=0.01)
    assert narrow.sum() < wide.sum()


def test_fits_recover_the_true_parameters_with_a_narrow_psf() -> None:
    data = make(
        size=64,
        hr_camera={"fwhm": 0.02, "beta": 4},
        population={"index": [0.5, 1.5], "radius": [0.3, 0.45], "magnitude": [20, 21]},
    )
    for index in range(6):
        true = data.galaxy(index)
        found = detect(data[index].hr[0].double().numpy())
        fit = fit_sersic(found.image, found)
        assert fit is not None
        assert fit.index == pytest.approx(true.index, rel=0.04)
        assert 0.084 * fit.radius == pytest.approx(true.radius, rel=0.03)
        # HR is flux per area of an LR pixel, which is four HR pixels.
        magnitude = 27 - 2.5 * math.log10(fit.flux / 4)
        assert magnitude == pytest.approx(true.magnitude, abs=0.03)


def test_the_half_light_radius_of_a_round_galaxy_is_recovered() -> None:
    data = make(
        size=64,
        hr_noise=False,
        hr_camera={"fwhm": 0.02, "beta": 4},
        population={"index": [1, 1], "radius": [0.5, 0.5]},
    )
    roundest = max(range(30), key=lambda index: data.galaxy(index).axis_ratio)
    found = detect(data.observe(roundest)[0])
    assert 0.084 * half_light_radius(found.image, found) == pytest.approx(0.5, rel=0.03)


def test_seeing_hides_the_index() -> None:
    """In LR, galaxies with index 4 and index 1 look alike."""
    found = []
    for index in (1, 4):
        data = make(size=64, population={"index": [index, index], "radius": [0.4, 0.4]})
        hr, lr = (detect(image).image for image in data.observe(3))
        fits = fit_sersic(hr, detect(hr)), fit_sersic(lr, detect(lr))
        assert fits[0] is not None
        assert fits[1] is not None
        found.append([fit.index for fit in fits if fit is not None])
    (hr_disc, lr_disc), (hr_bulge, lr_bulge) = found
    assert hr_bulge - hr_disc > 0.8
    assert abs(lr_bulge - lr_disc) < 0.3
