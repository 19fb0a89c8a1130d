"""The numbers of an evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_setup import CROSS_ENTROPY, FLUX, MODELS, PSNR, evaluation, photometry, small

from srkit.evaluation.results import ModelResult


def test_the_table_averages_each_metric_and_keeps_an_infinite_psnr() -> None:
    found = evaluation()
    rows = found.table()
    assert [row["model"] for row in rows] == list(MODELS)
    assert rows[0]["psnr"] == math.inf
    expected = sum(found.models[1].values["psnr"].tolist()) / 60
    assert rows[1]["psnr"] == pytest.approx(expected)
    assert rows[1]["seconds"] == 1.5


def test_standard_error_by_hand() -> None:
    # 1, 2, 3, 4: variance 5/3 with n - 1, over 4 values
    model = ModelResult("m", {"mse": np.array([1.0, 2.0, np.nan, 3.0, 4.0])}, None, 0.0)
    assert model.standard_error("mse") == pytest.approx(math.sqrt(5 / 12))


def test_a_pooled_metric_has_the_value_of_the_set_and_no_standard_error() -> None:
    model = ModelResult("m", {"iou": np.array([0.1, 0.2])}, None, 0.0, pooled={"iou": 0.4})
    assert model.mean("iou") == 0.4
    assert math.isnan(model.standard_error("iou"))


def test_gap_closed_by_hand() -> None:
    found = small({"original": 0.871, "bilinear": 1.931, "DarioNet": 1.054})
    assert found.gap_closed(CROSS_ENTROPY, "DarioNet") == pytest.approx(0.877 / 1.060)
    assert found.gap_closed(CROSS_ENTROPY, "original") == pytest.approx(1)
    backwards = found.gap_closed(CROSS_ENTROPY, "DarioNet", lower="original", upper="bilinear")
    assert backwards == pytest.approx(1 - 0.877 / 1.060)


def test_without_a_gap_its_share_is_undefined() -> None:
    no_baseline = small({"original": 1, "DarioNet": 2})
    assert math.isnan(no_baseline.gap_closed(CROSS_ENTROPY, "DarioNet"))
    level = small({"original": 1, "bilinear": 1, "DarioNet": 2})
    assert math.isnan(level.gap_closed(CROSS_ENTROPY, "DarioNet"))
    assert math.isnan(evaluation().gap_closed(PSNR, "DarioNet"))  # the original's is infinite


def test_the_best_models_include_ties_but_not_the_original() -> None:
    found = small({"original": 0.1, "a": 1.0, "b": 2.0, "c": 1.0})
    assert found.best_models(CROSS_ENTROPY) == {"a", "c"}
    assert found.best_models(replace(CROSS_ENTROPY, higher_is_better=True)) == {"b"}
    assert small({"original": 1.0}).best_models(CROSS_ENTROPY) == set()
    rounded = small({"a": 1.0 + 1e-7, "b": 1.0, "c": 1.0 - 1e-7, "d": 1.001})
    assert rounded.best_models(CROSS_ENTROPY) == {"a", "b", "c"}  # as flux that all conserve


def test_signed_errors_have_bias_and_scatter_over_the_measurable_images() -> None:
    original, biased, noisy, blind = photometry().table()
    assert original["flux_error"] == 0
    assert biased["flux_error"] == pytest.approx(0.2)
    assert biased["flux_error/scatter"] == pytest.approx(0.1)  # of 0.1, 0.2, 0.3, with n - 1
    assert biased["flux_error/robust_scatter"] == pytest.approx(0.14826)
    assert noisy["flux_error/scatter"] == pytest.approx(0.9)
    assert [row["flux_error/measured"] for row in (biased, noisy, blind)] == [3, 3, 0]
    assert math.isnan(float(blind["flux_error"]))
    assert math.isnan(float(blind["flux_error/scatter"]))
    assert photometry().models[1].standard_error("flux_error") == pytest.approx(0.1 / math.sqrt(3))


def test_outliers_hardly_change_the_robust_scatter() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 1, 10_000)
    values[:50] = 1000
    model = ModelResult("m", {"flux_error": values}, None, 0.0)
    assert model.robust_scatter("flux_error") == pytest.approx(1, abs=0.03)
    assert model.scatter("flux_error") > 50


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [1.0, np.inf]])
def test_scatter_is_nan_where_undefined(values: list[float]) -> None:
    model = ModelResult("m", {"flux_error": np.array(values)}, None, 0.0)
    assert math.isnan(model.scatter("flux_error"))
    assert math.isnan(model.robust_scatter("flux_error"))
    assert math.isnan(model.standard_error("flux_error"))


def test_signed_errors_are_ranked_by_their_root_mean_square() -> None:
    found = photometry()
    # "noisy" has no bias; its root mean square is sqrt(1.62 / 3), that of "biased" sqrt(0.14 / 3).
    assert found.models[1].score(FLUX) == pytest.approx(math.sqrt(0.14 / 3))
    assert found.best_models(FLUX) == {"biased"}
    gap = found.gap_closed(FLUX, "biased", lower="noisy")
    assert gap == pytest.approx(1 - math.sqrt(0.14 / 1.62))
    assert math.isnan(found.gap_closed(FLUX, "blind", lower="noisy"))
    assert replace(found, models=found.models[3:]).best_models(FLUX) == set()
