"""Deflection and light, compared with analytic results."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from srkit_astro.simulation.lens_population import Galaxy, Lens
from srkit_astro.simulation.sky import grid, render, surface_brightness, trace

DARK = 200.0  # magnitude of invisible galaxies
LIGHT = Galaxy(DARK, 1.0, 4.0, 0.999999, 0.0, 0.0, 0.0)
SOURCE = Galaxy(22.0, 0.05, 1.0, 0.999999, 0.0, 0.25, 0.0)
LENS = Lens(LIGHT, SOURCE, 0.5, 1.5, 250.0, 1.2, 3e11, (0.0, 0.0))


def test_images_of_an_isothermal_sphere() -> None:
    """A source at β has images at β + θ_E and β - θ_E."""
    x, y = trace(LENS, (), np.array([0.25 + 1.2, 0.25 - 1.2]), np.zeros(2))
    np.testing.assert_allclose(x, 0.25, atol=1e-5)
    np.testing.assert_allclose(y, 0, atol=1e-5)


def test_magnification_of_an_isothermal_sphere() -> None:
    """The total magnification of a point at β < θ_E is 2 θ_E / β; nearly so for a small disc."""
    pixel = 0.01
    arcs = render(LENS, (), 400, pixel).sum() * pixel**2
    assert arcs / 10 ** (0.4 * (27 - 22)) == pytest.approx(2 * 1.2 / 0.25, rel=0.03)


def test_deflection_of_an_ellipsoid() -> None:
    """Kormann et al. (1994, A&A 284, 285), with the mean of the semi-axes as Einstein radius."""
    ratio, angle = 0.6, 0.7
    light = replace(LIGHT, axis_ratio=ratio, angle=angle, x=0.1, y=-0.2)
    x, y = (places.ravel() for places in grid(9, 0.53))
    found = trace(replace(LENS, light=light), (), x, y)
    along = math.cos(angle) * (x - 0.1) + math.sin(angle) * (y + 0.2)
    across = -math.sin(angle) * (x - 0.1) + math.cos(angle) * (y + 0.2)
    root = math.sqrt(1 - ratio**2)
    psi = np.hypot(ratio * along, across)
    bend = 1.2 * math.sqrt(ratio) / root
    first, second = bend * np.arctan(root * along / psi), bend * np.arctanh(root * across / psi)
    expected_x = x - math.cos(angle) * first + math.sin(angle) * second
    expected_y = y - math.sin(angle) * first - math.cos(angle) * second
    np.testing.assert_allclose(found, (expected_x, expected_y), atol=1e-4)


def test_shear_is_centred_on_the_lens_galaxy() -> None:
    light = replace(LIGHT, x=0.3, y=0.1)
    x, y = np.array([1.0]), np.array([2.0])
    plain = trace(replace(LENS, light=light), (), x, y)
    sheared = trace(replace(LENS, light=light, shear=(0.05, 0.02)), (), x, y)
    assert plain[0] - sheared[0] == pytest.approx(0.05 * 0.7 + 0.02 * 1.9)
    assert plain[1] - sheared[1] == pytest.approx(0.02 * 0.7 - 0.05 * 1.9)


def test_flux_of_a_magnitude() -> None:
    galaxy = Galaxy(20.0, 0.6, 1.0, 0.7, 0.4, 0.01, 0.02)
    x, y = grid(512, 0.02)
    flux = surface_brightness(galaxy, x.ravel(), y.ravel()).sum() * 0.02**2
    assert flux == pytest.approx(10 ** (0.4 * (27 - 20)), rel=1e-3)


def test_half_of_the_light_is_within_the_radius() -> None:
    light = Galaxy(18.0, 1.0, 4.0, 0.999999, 0.0, 0.013, -0.021)
    dark = replace(SOURCE, magnitude=DARK)
    pixel = 0.042
    sky = render(replace(LENS, light=light, source=dark), (), 256, pixel)
    x, y = grid(256, pixel)
    inside = np.hypot(x - light.x, y - light.y) < light.radius
    assert sky[inside].sum() * pixel**2 == pytest.approx(0.5 * 10 ** (0.4 * (27 - 18)), rel=0.01)


def test_shape_of_a_galaxy() -> None:
    galaxy = Galaxy(20.0, 0.5, 1.0, 0.5, 0.6, 0.2, -0.3)
    x, y = grid(512, 0.02)
    light = surface_brightness(galaxy, x.ravel(), y.ravel()).reshape(x.shape)
    light /= light.sum()
    centre = [(light * place).sum() for place in (x, y)]
    np.testing.assert_allclose(centre, (0.2, -0.3), atol=1e-3)
    xx, yy, xy = (
        (light * (a - c) * (b - d)).sum()
        for a, c, b, d in ((x, 0.2, x, 0.2), (y, -0.3, y, -0.3), (x, 0.2, y, -0.3))
    )
    assert 0.5 * math.atan2(2 * xy, xx - yy) == pytest.approx(0.6, abs=0.01)
    small, large = np.sqrt(np.linalg.eigvalsh([[xx, xy], [xy, yy]]))
    assert small / large == pytest.approx(0.5, abs=0.01)
    assert math.sqrt(small * large) == pytest.approx(0.5 * 1.032, rel=0.01)  # √3 / 1.678 radii


def test_the_default_sampling_suffices() -> None:
    """It agrees with a four times finer sampling to 1 % of the peak, after the PSF of HST."""
    from srkit_astro.simulation.lens_simulation import LensSimulation

    for index in range(3):
        coarse, fine = (
            LensSimulation(scale=2, size=32, oversampling=n).observe(index)[0] for n in (2, 8)
        )
        assert np.abs(coarse - fine).max() < 0.01 * fine.max()
