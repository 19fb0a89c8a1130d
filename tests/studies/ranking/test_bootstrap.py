from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.stats import bootstrap

from srkit.report.metric_info import MetricInfo
from srkit.studies.ranking.bootstrap import interval, paired_difference

PSNR = MetricInfo("psnr", "dB", True, "")
NIQE = MetricInfo("niqe", "", False, "")
FLUX = MetricInfo("flux_error", "", False, "", signed=True)


def values(seed: int, count: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(30, 3, count)


def test_the_interval_equals_scipys() -> None:
    first, noise = values(0), np.random.default_rng(1).normal(0.1, 0.3, 40)
    found = paired_difference(first + noise, first, PSNR)
    assert found is not None
    expected = bootstrap(
        (first + noise, first),
        lambda x, y, axis: (x - y).mean(axis),
        paired=True,
        method="percentile",
        n_resamples=10_000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert found.value == pytest.approx(noise.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.01)


def test_what_is_hard_for_both_does_not_count() -> None:
    """A steady lead is far smaller than the scatter of the images, and yet no tie."""
    found = paired_difference(values(0) + 0.05, values(0), PSNR)
    assert found is not None
    assert not found.tie
    assert (found.low, found.high) == pytest.approx((0.05, 0.05))


def test_chance_is_a_tie() -> None:
    found = paired_difference(values(0), values(1), PSNR)
    assert found is not None
    assert found.tie
    same = paired_difference(values(0), values(0), PSNR)
    assert same is not None
    assert same.tie


def test_the_one_with_the_smaller_value_may_be_ahead() -> None:
    found = paired_difference(values(0) - 1, values(0), NIQE)
    assert found is not None
    assert found.value == pytest.approx(1)


def test_signed_errors_compare_by_their_root_mean_square() -> None:
    first, second = np.array([0.1, -0.1, 0.1, -0.1]), np.full(4, 0.3)
    found = paired_difference(first, second, FLUX)
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert not found.tie


def test_it_can_be_repeated() -> None:
    pair = values(0), values(1)
    assert paired_difference(*pair, PSNR, seed=3) == paired_difference(*pair, PSNR, seed=3)
    assert paired_difference(*pair, PSNR, seed=3) != paired_difference(*pair, PSNR, seed=4)


def test_images_that_one_could_not_be_measured_on_are_left_out() -> None:
    first, second = np.array([1.0, 2.0, np.nan, 9.0]), np.array([0.5, 1.5, 7.0, np.nan])
    found = paired_difference(first, second, PSNR)
    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_where_nothing_can_be_told() -> None:
    one, infinite = np.array([30.0]), np.array([30.0, np.inf])
    assert paired_difference(one, one, PSNR) is None
    assert paired_difference(infinite, infinite, PSNR) is None
    assert interval(one) is None
    assert interval(infinite) is None


def test_the_interval_of_a_mean_equals_scipys() -> None:
    found = interval(values(0))
    expected = bootstrap(
        (values(0),), np.mean, method="percentile", n_resamples=10_000,
        rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    assert found == pytest.approx(tuple(expected), abs=0.03)


def test_memory_does_not_grow_with_the_images() -> None:
    """All resamplings of 5000 images at once would take 1.2 GB."""
    tracemalloc.start()
    try:
        first = values(0, 5000)
        assert paired_difference(first + 0.1, first, PSNR) is not None
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
