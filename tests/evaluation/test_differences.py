"""Paired differences between models."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_setup import ACCURACY, CROSS_ENTROPY, FLUX, evaluation, photometry
from scipy.stats import ttest_rel

from srkit.evaluation.differences import difference, differences
from srkit.evaluation.results import ModelResult


def _model(metric: str, *values: float) -> ModelResult:
    return ModelResult("m", {metric: np.array(values)}, None, 0.0)


def test_the_difference_is_that_of_a_paired_t_test() -> None:
    found = evaluation()
    for name, row in differences(found).items():
        other = found.model(name)
        assert other is not None
        for metric, each in zip(found.metrics, row, strict=True):
            first, second = found.models[-1].values[metric.name], other.values[metric.name]
            assert each is not None
            assert each.mean == pytest.approx(first.mean() - second.mean())
            t = ttest_rel(first, second).statistic
            assert each.mean / each.standard_error == pytest.approx(t)
            assert each.better == (t > 2 if metric.higher_is_better else t < -2)
    assert list(differences(found)) == [model.name for model in found.models[1:-1]]


def test_the_difficulty_of_images_cancels_out() -> None:
    hard, easy = _model("cross_entropy", 1, 5, 3.1), _model("cross_entropy", 1.1, 5.1, 3.3)
    found = difference(CROSS_ENTROPY, hard, easy)
    assert found is not None
    assert found.mean == pytest.approx(-0.4 / 3)
    assert found.standard_error == pytest.approx(0.1 / 3)
    assert found.better


def test_a_difference_that_two_standard_errors_contain_is_not_better() -> None:
    found = difference(ACCURACY, _model("accuracy", 1, 1, 0), _model("accuracy", 0, 1, 0))
    assert found is not None
    assert not found.better


def test_signed_errors_are_compared_by_their_size() -> None:
    found = difference(FLUX, _model("flux_error", -0.1, 0.2), _model("flux_error", 0.3, -0.4))
    assert found is not None
    assert found.mean == pytest.approx(-0.2)
    assert found.better


def test_what_cannot_be_compared() -> None:
    blind = _model("flux_error", np.nan, 0.1)
    assert difference(FLUX, blind, _model("flux_error", 0.2, 0.3)) is None  # a single image
    pooled = ModelResult("m", {"accuracy": np.array([0.0, 1.0])}, None, 0.0, pooled={"accuracy": 1})
    assert difference(ACCURACY, pooled, _model("accuracy", 0, 1)) is None
    infinite = _model("cross_entropy", np.inf, 1)
    assert difference(CROSS_ENTROPY, infinite, _model("cross_entropy", 1, 1)) is None
    assert differences(photometry()) == {}  # its last model could not be measured
