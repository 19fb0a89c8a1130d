"""Coverage, pulls and sparsification: by theory, by SciPy, and by loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from srkit.evaluation import calibration
from srkit.evaluation.calibration import LEVELS, ONE_SIGMA, REMOVED, TWO_SIGMA


def Calibration(error: NDArray[np.float64], sigma: NDArray[np.float64]) -> calibration.Calibration:
    return calibration.Calibration(error, sigma, np.ones_like(error))


RANDOM = np.random.default_rng(4)
SIGMA = RANDOM.gamma(2, 1, 50_000)
ERROR = SIGMA * RANDOM.normal(size=50_000)


def test_true_standard_deviations_are_calibrated() -> None:
    found = Calibration(ERROR, SIGMA)
    np.testing.assert_allclose(found.coverage(), LEVELS, atol=0.01)
    assert found.calibration_error < 0.005
    assert found.bias == pytest.approx(0, abs=0.02)
    assert found.spread == pytest.approx(1, abs=0.02)
    assert stats.kstest(found.pulls(), "norm").pvalue > 0.01


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_wrong_factor_changes_coverage_and_pulls(factor: float) -> None:
    found = Calibration(ERROR, factor * SIGMA)
    assert found.spread == pytest.approx(1 / factor, rel=0.02)
    covered = 2 * stats.norm.cdf(factor * stats.norm.ppf((1 + LEVELS) / 2)) - 1
    np.testing.assert_allclose(found.coverage(), covered, atol=0.01)
    assert found.calibration_error == pytest.approx(np.abs(covered - LEVELS).mean(), abs=0.005)
    assert found.ause == pytest.approx(Calibration(ERROR, SIGMA).ause)


def test_one_and_two_sigma() -> None:
    shares = [ONE_SIGMA, TWO_SIGMA]
    assert shares == pytest.approx([0.6827, 0.9545], abs=1e-4)
    error = np.array([0.5, -1.5, 1.9, -2.5])
    found = Calibration(error, np.ones(4))
    assert (found.covered(ONE_SIGMA), found.covered(TWO_SIGMA)) == (0.25, 0.75)


def test_a_shift_is_a_bias_of_the_pulls() -> None:
    found = Calibration(np.array([2.0, 4.0, 3.0]), np.array([1.0, 2.0, 1.0]))
    assert found.pulls().tolist() == [2, 2, 3]
    assert found.bias == pytest.approx(7 / 3)
    assert found.spread == pytest.approx(np.std([2, 2, 3], ddof=1))


def test_pixels_with_zero_sigma_have_no_pull_but_a_coverage() -> None:
    found = Calibration(np.array([0.0, 1.0, 0.5, -0.5]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert found.pulls().tolist() == [0.5, -0.5]
    assert found.covered(ONE_SIGMA) == 0.75


def test_sparsification_equals_a_loop() -> None:
    error, sigma = ERROR[:500], SIGMA[:500]
    found = Calibration(error, sigma)
    for key, curve in ((sigma, found.sparsification()), (np.abs(error), found.oracle())):
        order = np.argsort(-key)
        for removed, value in zip(REMOVED, curve, strict=True):
            rest = error[order][round(removed * 500) :]
            expected = np.sqrt(np.mean(rest**2) / np.mean(error**2))
            assert value == pytest.approx(expected), removed
    gap = found.sparsification() - found.oracle()
    assert found.ause == pytest.approx(np.sum((gap[1:] + gap[:-1]) / 2) / 100)


def test_the_best_and_an_uninformative_order() -> None:
    assert Calibration(ERROR, np.abs(ERROR)).ause == 0
    idle = Calibration(ERROR, np.random.default_rng(5).random(len(ERROR))).sparsification()
    np.testing.assert_allclose(idle[:80], 1, atol=0.1)


def test_pixels_of_images_are_concatenated() -> None:
    one = np.array([[1, 2], [3, 4], [7, 8]], np.float32)
    two = np.array([[5], [6], [9]], np.float32)
    found = calibration.Calibration.gather([one, None, two])
    assert found is not None
    assert found.error.tolist() == [1, 2, 5]
    assert found.sigma.tolist() == [3, 4, 6]
    assert found.signal.tolist() == [7, 8, 9]
    assert calibration.Calibration.gather([None, None]) is None


def test_perfect_images_are_not_divided_by_zero() -> None:
    found = Calibration(np.zeros(10), np.ones(10))
    assert found.sparsification().tolist() == [0] * 100
    assert found.ause == 0


def test_bins_of_brightness_show_what_the_sky_hides() -> None:
    """Errors of bright pixels are 4 times sigma; there are few of them."""
    random = np.random.default_rng(8)
    signal = np.concatenate([random.normal(0, 1, 50_000), random.uniform(30, 90, 500)])
    error = random.normal(0, 1, len(signal)) * np.where(signal > 20, 4, 1)
    found = calibration.Calibration(error, np.ones_like(error), signal)
    assert found.spread == pytest.approx(1, abs=0.1)
    bins = {each.name: each for each in found.by_brightness()}
    assert list(bins) == ["below 1", "1 to 3", "3 to 10", "30 to 100"]
    assert bins["below 1"].pixels + bins["1 to 3"].pixels + bins["3 to 10"].pixels == 50_000
    assert bins["below 1"].covered == pytest.approx(ONE_SIGMA, abs=0.01)
    bright = bins["30 to 100"]
    assert (bright.pixels, bright.spread) == (500, pytest.approx(4, abs=0.4))
    assert bright.covered == pytest.approx(2 * stats.norm.cdf(1 / 4) - 1, abs=0.06)
    assert bright.counting_error == pytest.approx(np.sqrt(0.6827 * 0.3173 / 500), rel=1e-3)
