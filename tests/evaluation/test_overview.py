"""Several test and validation sets in one recipe."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from training_setup import Tree, make_pictures, make_tree, records, run, steps

from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.evaluation.overview import print_overview, write_overview
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.evaluation.run import evaluate
from srkit.recipe.parts import DataSpec
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge
from srkit.recipe.variants import Variant
from srkit.report._metric_info import MetricInfo
from srkit.studies.sweeps.results import read_outcome
from srkit.weights.checkpoints import load

PSNR = MetricInfo("psnr", "dB", higher_is_better=True, protocol="all channels")
FLUX = MetricInfo("flux_error", "mag", higher_is_better=False, protocol="sums", signed=True)


def result(name: str, psnr: list[float], flux: list[float]) -> ModelResult:
    values = {"psnr": np.array(psnr), "flux_error": np.array(flux)}
    return ModelResult(name, values, predictions=None, seconds=float(len(psnr)))


def one_set(names: list[str], models: list[ModelResult], notes: list[str]) -> Evaluation:
    return Evaluation("of one set", names, None, "", None, [PSNR, FLUX], models, notes)


@pytest.fixture
def sets() -> dict[str, Evaluation]:
    small = [result("bicubic", [20.0, 22.0], [1.0, 1.0]), result("net", [24.0, 26.0], [0.5, -0.5])]
    large = [
        result("bicubic", [30.0, 31.0, 32.0], [0.0, 0.1, math.nan]),
        result("net", [27.0, 28.0, 29.0], [0.5, 0.5, 0.5]),
    ]
    return {
        "set5": one_set(["a", "b"], small, ["of both", "of the first"]),
        "urban": one_set(["a", "b", "c"], large, ["of both"]),
    }


def test_one_table_has_the_metrics_of_all_sets(sets: dict[str, Evaluation], tmp_path: Path) -> None:
    page = write_overview("mine", sets, tmp_path)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["bicubic", "net"]
    assert [float(row["psnr/set5"]) for row in rows] == [21.0, 25.0]
    assert [float(row["psnr/urban"]) for row in rows] == [31.0, 28.0]
    assert float(rows[0]["psnr/urban/median"]) == 31.0
    assert [float(rows[0][f"seconds/{name}"]) for name in sets] == [2.0, 3.0]
    assert float(rows[0]["flux_error/urban/measured"]) == 2

    table = json.loads((tmp_path / "table.json").read_text("utf-8"))
    assert table["images"] == 5
    assert table["sets"]["urban"] == {"images": 3, "report": "urban/report.html"}
    assert list(table["metrics"]) == [
        *("psnr/set5", "flux_error/set5", "psnr/urban", "flux_error/urban"),
    ]
    net = table["models"][1]
    assert (net["model"], net["seconds"]) == ("net", 5.0)
    assert net["mean"]["psnr/urban"] == 28.0
    assert net["scatter"] == {
        "flux_error/set5": pytest.approx(math.sqrt(0.5)),
        "flux_error/urban": 0.0,
    }
    assert table["notes"] == ["of both", "set5: of the first"]

    text = page.read_text("utf-8")
    assert '<a href="set5/report.html">set5</a>' in text
    assert re.findall(r"<strong>(.*?)</strong>", text)[:4] == [
        *("31.00", "0.0500 ± 0.0707 (2)", "25.00", "0.0000 ± 0.7071"),
    ]


def test_the_terminal_shows_one_row_for_each_model(sets: dict[str, Evaluation]) -> None:
    text = io.StringIO()
    print_overview("mine", sets, Console(file=text, width=200))
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.getvalue().splitlines()]
    shown = " ".join(text.getvalue().split())
    assert "set5 psnr [dB] ↑" in shown and "urban psnr [dB] ↑" in shown
    net = next(line for line in lines if line[0] == "net")
    assert net[:3] == ["net", "25.00", "0.0000 ± 0.7071"]
    assert "urban: In parentheses: on how many of the 3 images" in shown


def several(first: Path, second: Path) -> Tree:
    """Return validation and test data of two sets."""
    sets = {
        name: {"dataset": {"type": "image_folder", "root": str(root)}}
        for name, root in (("first", first), ("second", second))
    }
    return {"data": {"validation": sets, "test": sets}, "metrics": {"psnr": {}}}


def test_a_run_with_several_sets(tmp_path: Path, registry: Registry) -> None:
    first = make_pictures(tmp_path / "first", count=4)
    second = make_pictures(tmp_path / "second", count=2, side=24)
    changes = {
        "best": "psnr/second",
        "evaluation": {"baselines": ["bicubic"], "examples": 0},
    }
    tree = make_tree(first, several(first, second), changes, steps(2, validate_every=1))
    folder = tmp_path / "run"
    best = run(tree, folder, registry)
    assert (
        "best checkpoint: by psnr on data.validation.second\n" in (folder / "log.txt").read_text()
    )
    validated = records(folder, "validation")
    for record in validated:
        assert record["psnr"] == record["psnr/second"] != record["psnr/first"]
    top = max(validated, key=lambda record: record["psnr/second"])
    assert load(best).state["best"] == [top["psnr/second"], top["step"]]

    printed = io.StringIO()
    found = evaluate(
        parse_recipe(tree, "test.yaml"),
        registry,
        folder,
        source="test.yaml",
        console=Console(file=printed, width=200),
    )
    assert [(one.title, len(one.names)) for one in found] == [
        *(("small: first", 4), ("small: second", 2)),
    ]
    report = folder / "evaluation"
    table = json.loads((report / "table.json").read_text("utf-8"))
    for name, one in zip(("first", "second"), found, strict=True):
        own = json.loads((report / name / "table.json").read_text("utf-8"))
        assert own["models"][-1]["mean"]["psnr"] == one.models[-1].mean("psnr")
        assert table["models"][-1]["mean"][f"psnr/{name}"] == one.models[-1].mean("psnr")
        assert (report / name / "report.html").is_file()
    assert f"report: {report / 'report.html'}" in printed.getvalue()
    # A sweep reads the same table.
    outcome = read_outcome(Variant("a", "a", {}, {}), folder, "")
    assert outcome.means == table["models"][-1]["mean"]


SET = {"dataset": {"type": "sample_photos", "split": "test"}}


@pytest.mark.parametrize(
    ("data", "best", "problem"),
    [
        ({"a.b": SET}, None, "data.test: 'a.b' cannot be the name of a data set; expected letters"),
        ({"x4": SET}, None, "data.test: 'x4' cannot be the name of a data set; expected letters"),
        ({"a": SET, "crop": SET}, None, "data.test: 'crop' cannot be the name of a data set;"),
        ({"a": SET, "A": SET}, None, "data.test: names of data sets may not differ by upper"),
        ({"a": SET, "b": {"dataset": {}}}, None, "data.test.b.dataset.type: missing;"),
    ],
)
def test_wrong_sets(data: Tree, best: str | None, problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"name": "a", "data": {"test": data}, "best": best}, "test.yaml")
    assert any(each.startswith(problem) for each in caught.value.problems), caught.value.problems


def test_the_best_metric_names_a_set(tmp_path: Path, registry: Registry) -> None:
    pictures = make_pictures(tmp_path / "first", count=4)
    tree = make_tree(pictures, several(pictures, pictures), {"best": "psnr/third"}, steps(1))
    with pytest.raises(RecipeError, match=r"best: unknown metric 'psnr/third'; did you mean"):
        run(tree, tmp_path / "run", registry)


def test_one_set_replaces_several_and_several_one() -> None:
    one, named = {"test": SET}, {"test": {"a": SET, "b": SET}}
    assert merge(one, named) == named
    assert merge(named, one) == one
    assert merge(named, {"test": {"c": SET}}) == {"test": {"a": SET, "b": SET, "c": SET}}
    mixed = {"test": {"mix": {**SET, "share": 0.5}}}
    assert merge(one, mixed) == {"test": {**SET, **mixed["test"]}}


def test_the_paths_of_data_sets() -> None:
    data = DataSpec.model_validate({"train": SET, "test": {"a": SET, "b": None, "c": SET}})
    assert list(data.sources()) == ["train", "test.a", "test.c"]
    assert DataSpec.model_validate(data.model_dump(mode="json")) == data
