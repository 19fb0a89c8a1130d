"""The evaluation of a trained run, its baselines and its untuned start."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from training_setup import TEACHER, Tree, make_pictures, make_tree, records, run, steps, validated

from srkit import load_model
from srkit.components.registry import Registry
from srkit.errors import DataError, RecipeError, WeightsError
from srkit.evaluation.results import Evaluation
from srkit.evaluation.run import evaluate
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge
from srkit.weights.checkpoints import load


def compared(
    tree: Tree, folder: Path, registry: Registry, printed: io.StringIO | None = None
) -> Evaluation:
    console = Console(file=printed or io.StringIO(), width=200)
    recipe = parse_recipe(tree, "test.yaml")
    [evaluation] = evaluate(recipe, registry, folder, source="test.yaml", console=console)
    return evaluation


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=8)


@pytest.fixture(scope="module")
def start(pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """Train one step, as a start for the tests."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    run(make_tree(pictures, steps(1)), folder, registry)
    return folder


def test_a_run_is_compared_with_its_baselines_and_its_start(
    start: Path, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    changes = {
        "start": {"weights": str(start)},
        "teachers": TEACHER,
        "evaluation": {"labels": "teacher", "examples": 1},
    }
    tree = make_tree(pictures, changes, validated(pictures), {"metrics": {"accuracy": {}}})
    folder, printed = tmp_path / "run", io.StringIO()
    run(merge(tree, steps(3, ema=0.5)), folder, registry)
    summary = {"caption": "Of stars.", "columns": ["", "false"], "rows": [["LR", "none"]]}
    (folder / "validation").mkdir()
    (folder / "validation" / "validation.json").write_text(json.dumps({"summary": summary}))
    found = compared(merge(tree, steps(3, ema=0.5)), folder, registry, printed)

    names = ["original", "bilinear", "bicubic", "first (untuned)", "small"]
    assert [model.name for model in found.models] == names
    assert found.notes[-1] == "The networks ran in fp32 on cpu: set in the recipe."
    assert found.classification is None
    means = {row["model"]: row for row in found.table()}
    assert means["original"]["psnr"] == math.inf
    assert means["original"]["accuracy"] == 1.0
    # The averaged weights are what was validated, on the same pictures.
    best = max(record["psnr"] for record in records(folder, "validation"))
    assert means["small"]["psnr"] == pytest.approx(best, rel=1e-6)
    assert means["small"]["psnr"] != means["first (untuned)"]["psnr"]

    report = folder / "evaluation"
    with (report / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == names
    for row in rows:
        assert float(row["psnr"]) == pytest.approx(means[row["model"]]["psnr"], rel=1e-4)
    assert json.loads((report / "table.json").read_text())
    page = (report / "report.html").read_text()
    assert all(name in page for name in (*names, "Of stars."))
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page), "the page is not self-contained"
    assert all(name in printed.getvalue() for name in names)
    assert f"report: {report / 'report.html'}" in printed.getvalue()


def test_a_start_that_is_also_an_evaluation_model_is_shown_once(
    start: Path, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    changes = {
        "start": {"weights": str(start)},
        "evaluation": {"models": {"first": str(start)}, "baselines": ["bilinear"], "examples": 0},
    }
    tree = make_tree(pictures, changes, validated(pictures), steps(1))
    run(tree, tmp_path / "run", registry)
    record = tmp_path / "run/environment.json"
    record.write_text(record.read_text().replace('"overlaps": []', '"overlaps": ["shared sky"]'))
    found = compared(tree, tmp_path / "run", registry)
    assert [model.name for model in found.models] == ["bilinear", "first", "small"]
    assert "Data of the run: shared sky." in found.notes


def test_the_uncertainty_of_a_run_is_calibrated(
    start: Path, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    changes = {
        "start": {"weights": str(start)},
        "uncertainty": {"features": 4},
        "losses": {"l1": None, "gaussian_nll": {}},
        "evaluation": {"self_ensemble": True, "examples": 1, "baselines": ["bicubic"]},
    }
    tree = make_tree(pictures, changes, validated(pictures), steps(3, ema=0.5))
    folder, printed = tmp_path / "run", io.StringIO()
    run(tree, folder, registry)
    found = compared(tree, folder, registry, printed)

    names = ["bicubic", "first (untuned)", "small + self-ensemble", "small"]
    assert [model.name for model in found.models] == names
    assert list(found.calibrations()) == names[2:]
    by_head, by_ensemble = found.calibrations()["small"], found.calibrations()[names[2]]
    assert len(by_head.error) == len(by_ensemble.error) == 8 * 3 * 32 * 32  # every pixel
    means = {row["model"]: row for row in found.table()}
    errors = {"small": by_head, names[2]: by_ensemble}
    for name, calibration in errors.items():
        psnr = np.mean([-10 * np.log10(np.mean(e**2)) for e in np.split(calibration.error, 8)])
        assert means[name]["psnr"] == pytest.approx(psnr, rel=1e-5)
    # Three steps hardly change the head; its correction is fitted to the same pictures.
    assert np.median(by_ensemble.sigma) != pytest.approx(np.median(by_head.sigma), rel=0.05)
    log = (folder / "log.txt").read_text("utf-8")
    assert "uncertainty: recalibrated on 24576 pixels of data.validation: standard" in log
    correction = load(folder / "checkpoints/best.safetensors").groups["uncertainty"]["corrections"]
    assert correction.abs().max() > 0
    head = load_model(folder)[1].head  # as srkit upscale uses it
    assert head is not None and torch.equal(head.corrections, correction)
    assert by_head.covered(0.682689) == pytest.approx(0.683, abs=0.03)

    report = folder / "evaluation"
    with (report / "calibration.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "small"]
    covered = [float(row["covered"]) for row in rows]
    np.testing.assert_allclose(covered, by_head.coverage())
    with (report / "sparsification.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 200
    summary = json.loads((report / "table.json").read_text())["models"][-1]["calibration"]
    assert summary["pull_standard_deviation"] == pytest.approx(by_head.spread)
    assert summary["ause"] == pytest.approx(by_head.ause)
    with (report / "calibration_by_brightness.csv").open(newline="") as file:
        bins = [row for row in csv.DictReader(file) if row["model"] == "small"]
    found_bins = by_head.by_brightness()
    assert [int(row["pixels"]) for row in bins] == [each.pixels for each in found_bins]
    assert summary["by_brightness"][-1]["covered_by_1_sigma"] == found_bins[-1].covered
    assert (report / "calibration.png").is_file()
    assert "Calibration of the uncertainty" in (report / "report.html").read_text()
    assert f"{by_head.bias:+.2f} ± {by_head.spread:.2f}" in printed.getvalue()


def test_a_run_without_a_head_has_no_uncertainty(
    start: Path, pictures: Path, registry: Registry
) -> None:
    changes = {"uncertainty": {}, "losses": {"l1": None, "gaussian_nll": {}}}
    with pytest.raises(WeightsError) as caught:
        compared(make_tree(pictures, validated(pictures), changes), start, registry)
    assert str(caught.value) == (
        f"{start / 'checkpoints' / 'last.safetensors'}: was trained without `uncertainty`; "
        "train this recipe again, or remove `uncertainty`"
    )


def test_a_trained_classifier_is_evaluated_at_its_best(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    pupil = {"net": {**TEACHER["net"], "trainable": True, "optimiser": {"lr": 0.01}}}
    alone = {"generator": None, "degradation": None, "losses": {"l1": None}, "teachers": pupil}
    metrics = {"metrics": {"psnr": None, "cross_entropy": {}}}
    tree = make_tree(pictures, validated(pictures), alone, metrics, steps(4))
    run(tree, tmp_path / "run", registry)
    found = compared(tree, tmp_path / "run", registry)
    assert [model.name for model in found.models] == ["original"]
    best = min(r["cross_entropy"] for r in records(tmp_path / "run", "validation"))
    assert found.table()[0]["cross_entropy"] == pytest.approx(best, rel=1e-6)
    # The classification must agree with the metrics.
    judged = found.classification
    assert judged is not None
    assert judged.classes == ["0", "1", "2", "3"]
    assert found.labels is not None
    assert judged.labels.tolist() == found.labels.tolist()
    right = judged.probabilities[range(8), judged.labels]
    np.testing.assert_allclose(-np.log(right), found.models[0].values["cross_entropy"], rtol=1e-5)
    assert judged.predictions.tolist() == found.models[0].predictions.tolist()
    names = {path.name for path in (tmp_path / "run" / "evaluation").iterdir()}
    assert {"confusion_matrix.csv", "confusion_matrix.png", "roc.csv", "roc.png"} <= names
    assert "classification.csv" in names


def test_labels_outside_the_classes_are_refused(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    pupil = {"net": {**TEACHER["net"], "classes": 3, "trainable": True}}
    alone = {"generator": None, "degradation": None, "losses": {"l1": None}, "teachers": pupil}
    tree = make_tree(pictures, alone, steps(1))
    tree["data"]["train"]["dataset"]["stop"] = 3  # classes 0 to 2
    run(tree, tmp_path / "run", registry)
    tested = merge(tree, {"data": validated(pictures)["data"]})
    message = (
        "^03.png: has label 3; the classifier 'net' expects 0 to 2, the classes of the teacher$"
    )
    with pytest.raises(DataError, match=message):
        compared(tested, tmp_path / "run", registry)


def test_a_run_without_a_checkpoint_is_refused(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, validated(pictures))
    with pytest.raises(WeightsError) as caught:
        compared(tree, tmp_path / "none", registry)
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: no checkpoint to evaluate; train the recipe first, or set --run"
    )


def test_a_recipe_without_test_data_is_refused(
    start: Path, pictures: Path, registry: Registry
) -> None:
    with pytest.raises(RecipeError) as caught:
        compared(make_tree(pictures), start, registry)
    assert caught.value.problems == ["data.test: missing; there is nothing to evaluate on"]
    assert not (start / "evaluation").exists()


def test_a_checkpoint_of_another_network_is_refused(
    start: Path, pictures: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, validated(pictures), {"generator": {"features": 6}})
    checkpoint = start / "checkpoints" / "last.safetensors"
    message = f"^{re.escape(str(checkpoint))}: does not fit RRDB, "
    with pytest.raises(WeightsError, match=message):
        compared(tree, start, registry)
