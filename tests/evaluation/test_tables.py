"""The tables of an evaluation, in files and on the terminal."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from evaluation_setup import (
    ACCURACY,
    FLUX,
    PSNR,
    classified,
    evaluation,
    photometry,
    read_csv,
    refuse_constant,
)
from rich.console import Console
from sklearn.metrics import auc

from srkit.evaluation.classification import Classification
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.evaluation.tables import explanations, print_table, summary_text, write_tables
from srkit.report._tables import heading
from srkit.report.writer import ReportWriter


def test_tables_contain_every_number(tmp_path: Path) -> None:
    found = evaluation()
    write_tables(found, ReportWriter(tmp_path))
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"table.csv", "table.json", "per_image.csv", "per_class.csv"}
    table = read_csv(tmp_path / "table.csv")
    assert table[0]["psnr"] == "inf"
    assert float(table[4]["accuracy"]) == found.table()[4]["accuracy"]
    images = read_csv(tmp_path / "per_image.csv")
    assert len(images) == 60
    assert float(images[7]["DarioNet/psnr"]) == found.models[4].values["psnr"][7]
    classes = read_csv(tmp_path / "per_class.csv")
    assert sum(int(row["support"]) for row in classes) == 60
    assert {"class", "name", "DarioNet/f1", "bilinear/accuracy"} <= classes[0].keys()


def test_the_json_is_strict_and_states_protocols(tmp_path: Path) -> None:
    write_tables(evaluation(), ReportWriter(tmp_path))
    text = (tmp_path / "table.json").read_text("utf-8")
    content = json.loads(text, parse_constant=refuse_constant)
    assert content["images"] == 60
    assert content["label_source"] == "data set"
    assert content["metrics"]["psnr"]["protocol"] == "RGB, no crop"
    original, bilinear, *_, last = content["models"]
    assert original["mean"]["psnr"] == "inf"
    assert original["standard_error"]["psnr"] is None
    assert bilinear["gap_closed"] == {"psnr": None, "accuracy": 0.0, "cross_entropy": 0.0}
    assert last["gap_closed"]["accuracy"] == evaluation().gap_closed(ACCURACY, "DarioNet")
    found = content["differences"]["bilinear"]["accuracy"]
    assert found["mean"] == pytest.approx(last["mean"]["accuracy"] - bilinear["mean"]["accuracy"])


def test_the_files_contain_the_numbers_of_measured_images(tmp_path: Path) -> None:
    write_tables(photometry(), ReportWriter(tmp_path))
    parts = ("", "/median", "/scatter", "/robust_scatter")
    columns = ["model", *(f"flux_error{part}" for part in parts)]
    table = read_csv(tmp_path / "table.csv")
    assert list(table[0]) == [*columns, "flux_error/measured", "seconds"]
    assert [row["flux_error/measured"] for row in table] == ["3", "3", "3", "0"]
    assert read_csv(tmp_path / "per_image.csv")[2]["biased/flux_error"] == "nan"
    text = (tmp_path / "table.json").read_text("utf-8")
    content = json.loads(text, parse_constant=refuse_constant)
    assert content["metrics"]["flux_error"]["signed"] is True
    biased, blind = content["models"][1], content["models"][3]
    assert biased["measured"] == {"flux_error": 3}
    assert biased["scatter"] == pytest.approx({"flux_error": 0.1})
    assert biased["robust_scatter"] == pytest.approx({"flux_error": 0.14826})
    assert biased["median"] == pytest.approx({"flux_error": 0.2})
    assert blind["mean"] == blind["scatter"] == {"flux_error": None}


def test_without_labels_there_is_no_table_of_classes(tmp_path: Path) -> None:
    write_tables(replace(evaluation(), labels=None, label_source=""), ReportWriter(tmp_path))
    assert not (tmp_path / "per_class.csv").exists()
    content = json.loads((tmp_path / "table.json").read_text("utf-8"))
    assert content["label_source"] is None


def test_the_printed_table_marks_the_best_in_bold() -> None:
    text = StringIO()
    console = Console(file=text, width=120, force_terminal=True, color_system="standard")
    print_table(evaluation(), console)
    line, *_ = [line for line in text.getvalue().splitlines() if "DarioNet" in line]
    means = evaluation().table()[4]
    median, scatter = means["psnr/median"], means["psnr/robust_scatter"]
    shown = rf"{means['psnr']:.2f} \[{median:.2f} ± {scatter:.2f}\]"
    assert re.search(rf"\x1b\[1m *{shown}\x1b", line)
    assert "psnr [dB] ↑" in text.getvalue()
    (original,) = [line for line in text.getvalue().splitlines() if "original" in line]
    assert "\x1b[1m" not in original


def test_the_printed_table_shows_scatter_and_the_images_measured() -> None:
    assert heading(FLUX) == "flux_error [mag] → 0"
    text = StringIO()
    print_table(photometry(), Console(file=text, width=120))
    assert re.search(r"biased +0\.2000 ± 0\.1000 \[0\.2000 ± 0\.1483\] \(3\)", text.getvalue())
    for part in ("– (0)", "on how many of the 4 images", "→ 0: bias"):
        assert part in text.getvalue()
    plain = StringIO()
    print_table(evaluation(), Console(file=plain, width=120))
    assert "In parentheses" not in plain.getvalue()
    assert "bias" not in plain.getvalue()


def test_where_mean_and_median_disagree_the_median_decides_and_a_line_says_so() -> None:
    """One image of 60 dB lifts the mean of b above that of a."""
    values = {"a": [31.0, 31.0, 32.0, 33.0, 34.0], "b": [30.0, 30.0, 31.0, 32.0, 60.0]}
    models = [ModelResult(name, {"psnr": np.array(v)}, None, 0.0) for name, v in values.items()]
    found = Evaluation("t", list("abcde"), None, "", None, [PSNR], models, [])
    assert (found.best_by_mean(PSNR), found.best_models(PSNR)) == ({"b"}, {"a"})
    lines = explanations(found)
    assert lines[0].startswith("In square brackets: median ± robust scatter")
    assert lines[1:] == [
        "psnr: the best by the mean is b; marked is the best by the median, a, which few images do "
        "not decide.",
        "psnr in dB: RGB, no crop.",
    ]
    assert summary_text(found, PSNR, models[1]) == "36.60 [31.00 ± 1.48]"
    # Medians of an accuracy, 0 or 1, are equal, so that the mean decides.
    answers = {"a": [1.0, 1.0, 1.0, 0.0], "b": [1.0, 1.0, 1.0, 1.0]}
    models = [ModelResult(n, {"accuracy": np.array(v)}, None, 0.0) for n, v in answers.items()]
    found = replace(found, metrics=[ACCURACY], models=models)
    assert found.best_models(ACCURACY) == {"b"}
    assert explanations(found) == []
    assert summary_text(found, ACCURACY, models[0]) == "0.7500"


def test_numbers_are_whole_on_a_narrow_terminal() -> None:
    text = StringIO()
    print_table(evaluation(), Console(file=text, width=60))
    for row in evaluation().table():
        lines = [line for line in text.getvalue().splitlines() if line.startswith(row["model"])]
        line = " ".join(lines)
        assert f"{row['accuracy']:.4f}" in line and f"{row['cross_entropy']:.4f}" in line
    assert "…" not in text.getvalue()


def test_a_wide_table_is_continued_in_further_blocks() -> None:
    found = photometry()
    infos = [replace(FLUX, name=f"long_name_of_metric_{i}") for i in range(12)]
    models = [
        replace(model, values={info.name: model.values["flux_error"] for info in infos})
        for model in found.models
    ]
    text = StringIO()
    print_table(replace(found, metrics=infos, models=models), Console(file=text, width=100))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if line.startswith("biased")]
    assert len(rows) == 6
    assert " ".join(rows).count("0.2000 ± 0.1000 [0.2000 ± 0.1483] (3)") == 12
    assert rows[-1].endswith("0.0")
    # No word of a heading is broken: each is found whole, as often as there are metrics.
    assert text.getvalue().count("metric") == 12 + 1  # one in the explanation
    assert "…" not in text.getvalue()


def test_a_classifier_has_its_tables(tmp_path: Path) -> None:
    evaluation = classified()
    found = evaluation.classification
    assert found is not None
    write_tables(evaluation, ReportWriter(tmp_path))
    rows = read_csv(tmp_path / "classification.csv")
    assert [row["class"] for row in rows] == [*found.classes, "micro-average", "macro-average"]
    assert float(rows[3]["accuracy"]) == evaluation.models[0].mean("accuracy")
    matrix = list(csv.reader(StringIO((tmp_path / "confusion_matrix.csv").read_text("utf-8"))))
    assert matrix[0] == ["true \\ predicted", *found.classes]
    assert [row[0] for row in matrix[1:]] == found.classes
    assert [[int(n) for n in row[1:]] for row in matrix[1:]] == found.confusion().tolist()
    points = [row for row in read_csv(tmp_path / "roc.csv") if row["class"] == "cdm"]
    x = [float(row["false_positive_rate"]) for row in points]
    y = [float(row["true_positive_rate"]) for row in points]
    assert auc(x, y) == pytest.approx(float(rows[1]["auc"]))
    assert points[0]["threshold"] == "inf"
    content = json.loads((tmp_path / "table.json").read_text("utf-8"))
    assert content["classification"][3]["auc"] == float(rows[3]["auc"])


def test_a_class_without_images_is_null_in_strict_json(tmp_path: Path) -> None:
    found = Classification(np.zeros(2, dtype=np.int64), np.array([[0.8, 0.2]] * 2), ["a", "b"])
    write_tables(replace(classified(), classification=found), ReportWriter(tmp_path))
    text = (tmp_path / "table.json").read_text("utf-8")
    content = json.loads(text, parse_constant=refuse_constant)
    assert content["classification"][1] == {
        "class": "b",
        "images": 0,
        "accuracy": None,
        "auc": None,
    }


@pytest.mark.parametrize("classes", [3, 20])
def test_the_classifier_is_printed(classes: int) -> None:
    text = StringIO()
    evaluation = classified(classes)
    print_table(evaluation, Console(file=text, width=80))
    found = evaluation.classification
    assert found is not None
    *rows, micro, macro = found.table()
    for row in (micro, macro, *(rows if classes == 3 else ())):
        (line,) = [line for line in text.getvalue().splitlines() if line.startswith(row["class"])]
        assert line.split()[-3:] == [
            str(row["images"]),
            f"{row['accuracy']:.4f}",
            f"{row['auc']:.4f}",
        ]
    assert ("cdm" in text.getvalue()) == (classes == 3)
