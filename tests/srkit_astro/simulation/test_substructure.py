"""Subhalos and vortices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from srkit_astro.simulation.lens_population import Galaxy, Lens
from srkit_astro.simulation.sky import grid, trace
from srkit_astro.simulation.substructure import Subhalo, Vortex, draw_subhalos, draw_vortex

LIGHT = Galaxy(19.0, 1.0, 4.0, 0.7, 0.3, 0.1, -0.2)
LENS = Lens(LIGHT, LIGHT, 0.5, 1.5, 250.0, 1.3, 4e11, (0.03, 0.01))


def bending(substructure: tuple[Subhalo, ...] | Vortex, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the deflection by the substructure alone."""
    return np.subtract(trace(LENS, (), x, y), trace(LENS, substructure, x, y))


def test_a_vortex_deflects_like_a_row_of_points() -> None:
    vortex = Vortex(0.05, -0.4 - 0.1j, 0.5 + 0.7j)
    x, y = (places.ravel() for places in grid(12, 0.31))
    along = (np.arange(20000) + 0.5) / 20000
    points = vortex.start + along * (vortex.end - vortex.start)
    apart = (x + 1j * y)[:, None] - points
    expected = (vortex.mass / 20000 / apart.conj()).sum(1)
    np.testing.assert_allclose(bending(vortex, x, y), (expected.real, expected.imag), atol=1e-5)


def test_subhalos_have_a_pseudo_jaffe_profile() -> None:
    """b / r (r + t - √(r² + t²)): isothermal within the tidal radius, a point mass beyond."""
    halo = Subhalo(0.004, 0.2, 0.5, 0.6)
    radius = np.array([0.01, 0.05, 0.2, 1.0, 20.0])
    strength = 0.004 / 0.2
    expected = strength / radius * (radius + 0.2 - np.hypot(radius, 0.2))
    found = bending((halo,), 0.5 + radius * 0.6, 0.6 + radius * 0.8)
    np.testing.assert_allclose(found, (0.6 * expected, 0.8 * expected), rtol=0.02)
    assert expected[-1] == pytest.approx(0.004 / 20, rel=0.01)


def test_subhalos_have_the_given_fraction_of_the_mass() -> None:
    drawn = [draw_subhalos(LENS, 0.03, np.random.default_rng(i)) for i in range(1500)]
    fractions = [sum(halo.mass for halo in halos) / LENS.einstein_radius**2 for halos in drawn]
    assert np.mean(fractions) == pytest.approx(0.03, abs=4 * np.std(fractions) / math.sqrt(1500))


def test_subhalos_follow_the_mass_function() -> None:
    halos = [h for i in range(500) for h in draw_subhalos(LENS, 0.03, np.random.default_rng(i))]
    masses = np.array([halo.mass for halo in halos]) / LENS.einstein_radius**2 * 4e11
    assert masses.min() >= 1e8 * (1 - 1e-9)
    assert masses.max() <= 1e10 * (1 + 1e-9)
    expected = (1e9**-0.9 - 1e10**-0.9) / (1e8**-0.9 - 1e10**-0.9)
    error = math.sqrt(expected / len(masses))
    assert (masses > 1e9).mean() == pytest.approx(expected, abs=4 * error)
    places = np.array([(halo.x - 0.1, halo.y + 0.2) for halo in halos])
    distance = np.hypot(*places.T)
    assert distance.max() <= 1.5 * 1.3
    # For a uniform density, half of them are within 1 / √2 of the radius.
    assert (distance < 1.5 * 1.3 / math.sqrt(2)).mean() == pytest.approx(0.5, abs=0.03)
    for halo in halos[:20]:
        strength = halo.mass / halo.tidal_radius
        assert halo.tidal_radius == pytest.approx(math.sqrt(strength * LENS.einstein_radius))


def test_there_is_at_least_one_subhalo() -> None:
    for seed in range(50):
        assert len(draw_subhalos(LENS, 1e-6, np.random.default_rng(seed))) >= 1


def test_vortices_have_the_given_mass_length_and_position() -> None:
    for seed in range(100):
        vortex = draw_vortex(LENS, 0.03, np.random.default_rng(seed))
        assert vortex.mass == pytest.approx(0.03 * 1.3**2)
        assert 1.3 <= abs(vortex.end - vortex.start) <= 2.6
        assert abs((vortex.start + vortex.end) / 2 - (0.1 - 0.2j)) <= 0.65
