"""Populations of lenses, compared with the papers that they are based on."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
from astropy import constants, units
from astropy.cosmology import FlatLambdaCDM
from astropy.modeling.models import Sersic1D
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.stats import kstest
from srkit_astro.simulation import lens_population
from srkit_astro.simulation.lens_population import SLACS, SUGOHI, Lens, LensPopulation

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)


def draw(population: LensPopulation, count: int) -> list[Lens]:
    return [population.draw(np.random.default_rng([3, i])) for i in range(count)]


@pytest.mark.parametrize("population", [SLACS, SUGOHI])
def test_lenses_are_within_the_ranges(population: LensPopulation) -> None:
    for lens in draw(population, 50):
        assert population.redshift[0] <= lens.redshift <= population.redshift[1]
        assert population.source_redshift[0] < lens.source_redshift < population.source_redshift[1]
        assert population.einstein_radius[0] < lens.einstein_radius < population.einstein_radius[1]
        low, high = population.source_magnitude
        assert low <= lens.source.magnitude <= high
        impact = math.dist((lens.source.x, lens.source.y), (lens.light.x, lens.light.y))
        magnification = 2 * lens.einstein_radius / math.hypot(impact, lens.source.radius)
        assert magnification > 3
        assert lens.source.magnitude - 2.5 * math.log10(magnification) < population.arc_magnitude
        assert magnification * lens.source.radius >= population.arc_length
        assert min(lens.light.axis_ratio, lens.source.axis_ratio) > 0.2


def test_einstein_radius_and_mass() -> None:
    for lens in draw(SUGOHI, 5):
        to_lens, to_source = (
            COSMOLOGY.angular_diameter_distance(z) for z in (lens.redshift, lens.source_redshift)
        )
        near, far = (COSMOLOGY.comoving_distance(z) for z in (lens.redshift, lens.source_redshift))
        between = (far - near) / (1 + lens.source_redshift)
        sigma = lens.velocity_dispersion * units.km / units.s
        angle = 4 * math.pi * (sigma / constants.c) ** 2 * between / to_source * units.rad
        assert lens.einstein_radius == pytest.approx(angle.to_value(units.arcsec), rel=1e-3)
        mass = angle.to_value(units.rad) ** 2 * constants.c**2 / (4 * constants.G)
        mass = (mass * to_lens * to_source / between).to_value(units.M_sun)
        assert lens.einstein_mass == pytest.approx(mass, rel=1e-3)


def test_lenses_resemble_those_of_slacs() -> None:
    """Auger et al. (2009), table 3: medians of 1.17 arcsec, z 0.2 and 250 km / s."""
    lenses = draw(SLACS, 150)
    assert median(lens.einstein_radius for lens in lenses) == pytest.approx(1.17, abs=0.2)
    assert median(lens.redshift for lens in lenses) == pytest.approx(0.2, abs=0.1)
    assert median(lens.velocity_dispersion for lens in lenses) == pytest.approx(250, abs=25)


def test_deflectors_follow_the_velocity_dispersion_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For distant sources the distribution is the function of Choi et al. times σ⁴."""
    monkeypatch.setattr(lens_population, "CANDIDATES", 20000)
    wide = LensPopulation(
        redshift=(0.001, 0.01), source_redshift=(0.5, 12), einstein_radius=(0.001, 100)
    )
    sigma = wide._draw_alignments(np.random.default_rng(0))[1]

    def weight(s: float) -> float:
        return float((s / 161) ** (2.32 - 1 + 4) * math.exp(-((s / 161) ** 2.67)))

    total = quad(weight, 0, 1000)[0]
    assert len(sigma) > 5000
    cumulative = np.array([quad(weight, 0, s)[0] / total for s in np.sort(sigma)[::50]])
    ranks = np.linspace(0, 1, len(sigma))[::50]
    assert np.abs(cumulative - ranks).max() < 0.02


def test_deflectors_are_uniform_in_comoving_volume() -> None:
    rng = np.random.default_rng(0)
    ends = lens_population._comoving(np.array([0.3, 0.9])) ** 3
    z = lens_population._redshift(rng.uniform(*ends, 4000) ** (1 / 3))
    low, high = (COSMOLOGY.comoving_volume(end).value for end in (0.3, 0.9))
    fractions = (COSMOLOGY.comoving_volume(z).value - low) / (high - low)
    assert kstest(fractions, "uniform").pvalue > 0.01


def test_sources_follow_the_lsst_science_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lens_population, "CANDIDATES", 40000)
    rng = np.random.default_rng(0)
    magnitude, _ = LensPopulation(source_magnitude=(24, 26))._draw_sources(rng)
    expected = (10**0.31 - 1) / (10**0.62 - 1)
    assert (magnitude < 25).mean() == pytest.approx(expected, abs=0.01)
    _, z = LensPopulation(source_magnitude=(24.999, 25.001))._draw_sources(rng)
    assert z.mean() == pytest.approx(3 * (0.0417 * 25 - 0.744), rel=0.01)


def test_shear_is_log_normal() -> None:
    rng = np.random.default_rng(0)
    strength = np.array([math.hypot(*SUGOHI._draw_shear(rng)) for _ in range(3000)])
    assert np.median(strength) == pytest.approx(0.05, rel=0.03)
    assert np.log10(strength).std() == pytest.approx(0.2, rel=0.05)
    assert LensPopulation(shear=0)._draw_shear(rng) == (0, 0)


def test_axis_ratios_are_distributed_as_in_lenspop() -> None:
    rng = np.random.default_rng(0)
    ratios = np.array([lens_population.draw_axis_ratio(0.25, rng) for _ in range(4000)])
    cut = 1 - math.exp(-((0.8 / 0.25) ** 2) / 2)
    assert kstest(1 - ratios, lambda e: (1 - np.exp(-((e / 0.25) ** 2) / 2)) / cut).pvalue > 0.01


def test_brightness_of_de_vaucouleurs() -> None:
    radius = np.array([0.4, 1.0, 2.5])
    profile = Sersic1D(1.0, 1.3, 4.0)
    total = quad(lambda r: 2 * math.pi * r * profile(r), 0, 1e4, limit=500)[0]
    expected = 18 - 2.5 * np.log10(profile(radius) / total)
    found = lens_population._sersic_brightness(np.full(3, 18.0), np.full(3, 1.3), radius)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_impossible_populations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^population: no lens with .* among 512000 pairs of gal"):
        LensPopulation(einstein_radius=(20, 21)).draw(np.random.default_rng(0))


def test_ranges_must_ascend() -> None:
    with pytest.raises(ValidationError, match=r"got \[0.9, 0.3\]; expected the lower end of the "):
        LensPopulation(redshift=(0.9, 0.3))


def test_sources_must_be_fainter_than_18_mag() -> None:
    LensPopulation(source_magnitude=(18, 26)).draw(np.random.default_rng(0))
    with pytest.raises(ValidationError, match="Input should be greater than or equal to 18"):
        LensPopulation(source_magnitude=(17.9, 26))
