"""The population of galaxies, compared with the documented distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest, lognorm
from srkit_astro.simulation import galaxy_population
from srkit_astro.simulation.galaxy_population import GalaxyPopulation
from srkit_astro.simulation.lens_population import Galaxy


def drawn(population: GalaxyPopulation, count: int = 2000) -> list[Galaxy]:
    rng = np.random.default_rng(5)
    return [population.draw(rng) for _ in range(count)]


def test_number_counts_have_a_slope_of_0_31() -> None:
    magnitudes = np.array([galaxy.magnitude for galaxy in drawn(GalaxyPopulation())])
    assert 20 <= magnitudes.min() < magnitudes.max() <= 23.5

    def cumulative(m: np.ndarray) -> np.ndarray:
        ends = 10 ** (0.31 * np.array([20, 23.5]))
        return np.asarray((10 ** (0.31 * m) - ends[0]) / (ends[1] - ends[0]))

    assert kstest(magnitudes, cumulative).pvalue > 0.01


@pytest.mark.parametrize(("magnitude", "scale_length"), [(22, 0.4164), (23, 0.3182), (25, 0.1858)])
def test_median_radius_of_a_magnitude(magnitude: float, scale_length: float) -> None:
    """Miller et al. (2013), equation B1; a disc's half-light radius is 1.678 scale lengths."""
    wide = drawn(GalaxyPopulation(magnitude=(magnitude, magnitude), radius=(0.02, 10)))
    major = np.median([galaxy.radius / math.sqrt(galaxy.axis_ratio) for galaxy in wide])
    assert major == pytest.approx(1.678 * scale_length, rel=0.03)


def test_radii_of_a_magnitude_and_an_axis_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference density is integrated numerically."""
    monkeypatch.setattr(galaxy_population, "draw_axis_ratio", lambda *_: 0.49)
    population = GalaxyPopulation(magnitude=(22, 22), radius=(0.2, 1.0))
    radii = [galaxy.radius for galaxy in drawn(population)]
    grid = np.linspace(0.2, 1.0, 2001)
    unit = 0.7 * 1.678 * 0.4164 / 1.1342  # the median of r exp(-r**(4/3))
    density = cumulative_trapezoid(grid * np.exp(-((grid / unit) ** (4 / 3))), grid, initial=0)
    assert kstest(radii, lambda r: np.interp(r, grid, density / density[-1])).pvalue > 0.01


def test_indices_are_log_normal_within_their_range() -> None:
    indices = np.array([galaxy.index for galaxy in drawn(GalaxyPopulation())])
    assert 0.5 <= indices.min() < indices.max() <= 6
    law = lognorm(s=1.0, loc=0.2, scale=math.exp(0.2))
    low, high = law.cdf([0.5, 6.0])
    assert kstest(indices, lambda n: (law.cdf(n) - low) / (high - low)).pvalue > 0.01
    assert law.median() == pytest.approx(1.42, abs=0.01)
    assert np.median(indices) == pytest.approx(law.ppf((low + high) / 2), abs=0.1)
    assert (indices > 2.5).mean() == pytest.approx(0.25, abs=0.03)


def test_a_range_may_be_a_single_value_or_in_the_far_tail() -> None:
    population = GalaxyPopulation(magnitude=(25, 25), radius=(9, 10), index=(4, 4))
    for galaxy in drawn(population, 20):
        assert galaxy.magnitude == pytest.approx(25)
        assert 9 <= galaxy.radius < 9.5
        assert galaxy.index == pytest.approx(4)
        assert 0.2 < galaxy.axis_ratio < 1
        assert max(abs(galaxy.x), abs(galaxy.y)) <= 0.1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"radius": (1.0, 0.5)}, "got [1.0, 0.5]; expected the lower end of the range first"),
        ({"index": (0.1, 4)}, "Input should be greater than or equal to 0.3"),
        ({"redshift": (0.1, 4)}, "Extra inputs are not permitted"),
    ],
)
def test_invalid_ranges_are_refused(given: dict[str, tuple[float, float]], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GalaxyPopulation(**given)  # type: ignore[arg-type]
    assert expected in str(caught.value)
