"""Confidence intervals, compared with resampling by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from srkit.report._metric_info import MetricInfo
from srkit.studies.ranking.bootstrap import interval, paired_difference

PSNR = MetricInfo("psnr", "dB", True, "")
NIQE = MetricInfo("niqe", "", False, "")
FLUX = MetricInfo("flux_error", "", False, "", signed=True)


def values(seed: int, count: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(30, 3, count)


def central(means: list[float]) -> tuple[float, float]:
    """Central 95 % of sorted values."""
    means = sorted(means)
    return means[int(0.025 * len(means))], means[int(0.975 * len(means))]


def test_interval_of_a_difference_equals_resampling_by_hand() -> None:
    first, noise = values(0), np.random.default_rng(1).normal(0.1, 0.3, 40)
    found = paired_difference(first + noise, first, PSNR)
    assert found is not None
    rng = np.random.default_rng(2)
    draws = [rng.choice(40, 40) for _ in range(10_000)]
    expected = central([float((first + noise)[i].mean() - first[i].mean()) for i in draws])
    assert found.value == pytest.approx(noise.mean())
    assert (found.low, found.high) == pytest.approx(expected, abs=0.01)


def test_interval_of_root_mean_squares_equals_resampling_by_hand() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.1, 0.2, 30), rng.normal(0.0, 0.5, 30)
    found = paired_difference(first, second, FLUX)
    assert found is not None

    def rms(x: np.ndarray) -> float:
        return float(np.sqrt(np.mean(x**2)))

    draws = [rng.choice(30, 30) for _ in range(10_000)]
    expected = central([rms(second[i]) - rms(first[i]) for i in draws])
    assert found.value == pytest.approx(rms(second) - rms(first))
    assert (found.low, found.high) == pytest.approx(expected, abs=0.01)


def test_interval_of_a_mean_equals_resampling_by_hand() -> None:
    rng = np.random.default_rng(2)
    expected = central([float(rng.choice(values(0), 40).mean()) for _ in range(10_000)])
    assert interval(values(0)) == pytest.approx(expected, abs=0.03)
    assert interval(np.array([np.nan, *values(0)])) == interval(values(0))


def test_difficulty_of_images_cancels_out() -> None:
    """A constant lead is not a tie, although it is far smaller than the scatter of the images."""
    found = paired_difference(values(0) + 0.05, values(0), PSNR)
    assert found is not None
    assert not found.tie
    assert (found.low, found.high) == pytest.approx((0.05, 0.05))


def test_a_difference_by_chance_is_a_tie() -> None:
    found = paired_difference(values(0), values(1), PSNR)
    assert found is not None
    assert found.tie
    same = paired_difference(values(0), values(0), PSNR)
    assert same is not None
    assert same.tie


def test_a_smaller_value_leads_if_lower_is_better() -> None:
    found = paired_difference(values(0) - 1, values(0), NIQE)
    assert found is not None
    assert found.value == pytest.approx(1)


def test_result_is_a_function_of_the_seed() -> None:
    pair = values(0), values(1)
    assert paired_difference(*pair, PSNR, seed=3) == paired_difference(*pair, PSNR, seed=3)
    assert paired_difference(*pair, PSNR, seed=3) != paired_difference(*pair, PSNR, seed=4)


def test_images_that_could_not_be_measured_for_one_model_are_skipped() -> None:
    first, second = np.array([1.0, 2.0, np.nan, 9.0]), np.array([0.5, 1.5, 7.0, np.nan])
    found = paired_difference(first, second, PSNR)
    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_no_interval_for_one_image_or_infinite_values() -> None:
    one, infinite = np.array([30.0]), np.array([30.0, np.inf])
    assert paired_difference(one, one, PSNR) is None
    assert paired_difference(infinite, infinite, PSNR) is None
    assert interval(one) is None
    assert interval(infinite) is None


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    """All resamples of 1500 images at once would take 360 MB."""
    tracemalloc.start()
    try:
        first = values(0, 1500)
        assert paired_difference(first + 0.1, first, PSNR) is not None
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
