from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import poisson
from srkit_astro.validation.statistics import Bias, Fraction, count_interval, crossing


def test_the_interval_of_a_fraction() -> None:
    # Wilson (1927), written out.
    k, n, z = 7, 20, 1.0
    centre = (k / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(k / n * (1 - k / n) / n + z**2 / (4 * n**2))
    found = Fraction(k, n)
    assert found.value == 0.35
    assert found.interval == pytest.approx((centre - half, centre + half), rel=1e-3)
    assert Fraction(20, 20).interval[0] == pytest.approx(1 - 1 / 21, rel=1e-3)
    assert all(map(math.isnan, (Fraction(0, 0).value, *Fraction(0, 0).interval)))


def test_the_interval_of_a_count() -> None:
    low, high = count_interval(5)
    tail = (1 - math.erf(1 / math.sqrt(2))) / 2
    assert poisson.sf(4, low) == pytest.approx(tail, rel=1e-3)
    assert poisson.cdf(5, high) == pytest.approx(tail, rel=1e-3)
    assert count_interval(0) == pytest.approx((0, 1.841), abs=1e-3)


def test_a_bias_and_its_error() -> None:
    values = np.random.default_rng(0).normal(0.3, 2, 400)
    found = Bias.of(values)
    assert found.mean == pytest.approx(0.3, abs=3 * found.error)
    assert found.error == pytest.approx(0.1, rel=0.1)
    assert found.scatter == pytest.approx(2, rel=0.1)
    assert math.isnan(Bias.of(values[:1]).error) and Bias.of(values[:0]).count == 0


def test_where_a_curve_crosses() -> None:
    assert crossing([1, 10, 100], [0, 0, 1]) == pytest.approx(10**1.5)
    assert math.isnan(crossing([1, 10], [0, 0.4]))
    assert math.isnan(crossing([1, 10], [0.9, 1]))
