"""The numbers, the files and the page of a report."""

from __future__ import annotations

import base64
import csv
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn.metrics import auc, f1_score, recall_score

from srkit.errors import DataError, OutputError
from srkit.evaluation.classification import Classification
from srkit.evaluation.panels import changed_images
from srkit.evaluation.report import write_report
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.evaluation.statistics import (
    best_models,
    class_scores,
    gap_closed,
    standard_error,
    standing,
)
from srkit.evaluation.tables import print_table, write_tables
from srkit.report.metric_info import MetricInfo
from srkit.report.pictures import Row
from srkit.report.squares import even_choice
from srkit.report.tables import format_value, heading
from srkit.report.writer import ReportWriter
from srkit.system.files import write_file

PSNR = MetricInfo("psnr", "dB", True, "RGB, no crop")
ACCURACY = MetricInfo("accuracy", "", True, "first answer <equals> the label")
CROSS_ENTROPY = MetricInfo("cross_entropy", "", False, "natural logarithm")
FLUX = MetricInfo("flux_error", "mag", False, "SR over HR", signed=True)
MODELS = {"original": 0.9, "bilinear": 0.5, "bicubic": 0.6, "untuned": 0.75, "DarioNet": 0.85}
NAMES = ["Airedale, Airedale terrier", "price of $5", "hen", *(f"thing {i}" for i in range(12))]


def evaluation(images: int = 60, classes: int = 12, seed: int = 3) -> Evaluation:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    models = []
    for name, share in MODELS.items():
        wrong = random.integers(0, classes + 2, images)
        answers = np.where(random.random(images) < share, labels, wrong)
        psnr = random.normal(20 + 8 * share, 2, images)
        values = {
            "psnr": np.full(images, np.inf) if name == "original" else psnr,
            "accuracy": (answers == labels).astype(np.float64),
            "cross_entropy": random.gamma(2, 1.2 - share, images),
        }
        models.append(ModelResult(name, values, answers, 1.5))
    names = [f"folder/{i}.jpg" for i in range(images)]
    metrics = [PSNR, ACCURACY, CROSS_ENTROPY]
    notes = ["2 files <skipped> & counted"]
    return Evaluation("a title", names, labels, "data set", NAMES, metrics, models, notes)


def small(means: dict[str, float]) -> Evaluation:
    """Make an evaluation of two images with given means of the cross-entropy."""
    models = [
        ModelResult(name, {"cross_entropy": np.array([mean - 0.5, mean + 0.5])}, None, 0.0)
        for name, mean in means.items()
    ]
    return Evaluation("t", ["a", "b"], None, "", None, [CROSS_ENTROPY], models, [])


def photometry() -> Evaluation:
    """Make an evaluation of signed errors of four images, one of which has no source."""
    values = {"original": [0.0, 0.0, np.nan, 0.0], "biased": [0.1, 0.2, np.nan, 0.3]}
    values |= {"noisy": [-0.9, 0.0, 0.9, np.nan], "blind": [np.nan] * 4}
    models = [ModelResult(n, {"flux_error": np.array(v)}, None, 0.0) for n, v in values.items()]
    return Evaluation("t", list("abcd"), None, "", None, [FLUX], models, [])


def render(indices: list[int]) -> list[Row]:
    def image(side: int, index: int) -> np.ndarray:
        return np.full((side, side, 3), index / 100, dtype=np.float32)

    return [Row({"LR" if n == "bicubic" else n: image(40, i) for n in MODELS}) for i in indices]


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text("utf-8"))))


def refuse_constant(text: str) -> None:
    raise AssertionError(f"{text} is not strict JSON")


class Page(HTMLParser):
    """Collect a page's tags and check that each is closed in order."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


# --- numbers


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
    assert standard_error(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(math.sqrt(5 / 12))


@pytest.mark.parametrize("values", [[1.0], [1.0, np.inf]])
def test_standard_error_is_none_where_undefined(values: list[float]) -> None:
    assert standard_error(np.array(values)) is None


def test_gap_closed_on_the_reports_kind_of_numbers() -> None:
    found = small({"original": 0.871, "bilinear": 1.931, "DarioNet": 1.054})
    assert gap_closed(found, "cross_entropy", "DarioNet") == pytest.approx(0.877 / 1.060)
    assert gap_closed(found, "cross_entropy", "original") == pytest.approx(1)
    backwards = gap_closed(found, "cross_entropy", "DarioNet", lower="original", upper="bilinear")
    assert backwards == pytest.approx(1 - 0.877 / 1.060)


def test_gap_closed_is_none_without_a_gap() -> None:
    assert gap_closed(small({"original": 1, "DarioNet": 2}), "cross_entropy", "DarioNet") is None
    level = small({"original": 1, "bilinear": 1, "DarioNet": 2})
    assert gap_closed(level, "cross_entropy", "DarioNet") is None
    assert gap_closed(evaluation(), "psnr", "DarioNet") is None  # the original's is infinite


def test_the_best_leave_out_the_original_and_keep_ties() -> None:
    found = small({"original": 0.1, "a": 1.0, "b": 2.0, "c": 1.0})
    assert best_models(found, CROSS_ENTROPY) == {"a", "c"}
    assert best_models(found, replace(CROSS_ENTROPY, higher_is_better=True)) == {"b"}
    assert best_models(small({"original": 1.0}), CROSS_ENTROPY) == set()


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
    assert standard_error(photometry().models[1].values["flux_error"]) == pytest.approx(
        0.1 / math.sqrt(3)
    )


def test_outliers_move_the_robust_scatter_little() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 1, 10_000)
    values[:50] = 1000
    model = ModelResult("m", {"flux_error": values}, None, 0.0)
    assert model.robust_scatter("flux_error") == pytest.approx(1, abs=0.03)
    assert model.scatter("flux_error") > 50


@pytest.mark.parametrize("values", [[1.0, np.nan], [1.0, np.inf]])
def test_scatter_is_nan_where_undefined(values: list[float]) -> None:
    model = ModelResult("m", {"flux_error": np.array(values)}, None, 0.0)
    assert math.isnan(model.scatter("flux_error"))
    assert math.isnan(model.robust_scatter("flux_error"))


def test_signed_errors_are_ranked_by_bias_and_scatter_together() -> None:
    found = photometry()
    # "noisy" has no bias; its root mean square is sqrt(1.62 / 3), that of "biased" sqrt(0.14 / 3).
    assert standing(found.models[1], FLUX) == pytest.approx(math.sqrt(0.14 / 3))
    assert best_models(found, FLUX) == {"biased"}
    gap = gap_closed(found, "flux_error", "biased", lower="noisy")
    assert gap == pytest.approx(1 - math.sqrt(0.14 / 1.62))
    assert gap_closed(found, "flux_error", "blind", lower="noisy") is None
    assert best_models(replace(found, models=found.models[3:]), FLUX) == set()


def test_class_scores_agree_with_scikit_learn() -> None:
    found = evaluation()
    scores = class_scores(found)
    assert scores is not None
    assert scores.support.sum() == 60
    assert scores.names[0] == "Airedale, Airedale terrier"
    for model in found.models:
        options = {"labels": scores.classes, "average": None, "zero_division": 0}
        f1 = f1_score(found.labels, model.predictions, **options)
        recall = recall_score(found.labels, model.predictions, **options)
        np.testing.assert_allclose(scores.f1[model.name], f1)
        np.testing.assert_allclose(scores.accuracy[model.name], recall)


def test_class_scores_need_labels_and_answers() -> None:
    assert class_scores(replace(evaluation(), labels=None)) is None
    assert class_scores(small({"a": 1.0})) is None


def test_changed_images_are_right_for_one_model_only() -> None:
    found = evaluation()
    by_name = {model.name: model.predictions == found.labels for model in found.models}
    for gains, right, wrong in ((True, "DarioNet", "bilinear"), (False, "bilinear", "DarioNet")):
        chosen = changed_images(found, "DarioNet", "bilinear", gains)
        assert chosen
        assert by_name[right][chosen].all()
        assert not by_name[wrong][chosen].any()
    assert found.labels is not None
    assert len(set(found.labels[chosen])) == len(chosen)
    assert changed_images(replace(found, labels=None), "DarioNet", "bilinear", True) == []


def test_even_choice_spans_the_set() -> None:
    assert even_choice(100, 4) == [0, 33, 66, 99]
    assert even_choice(2, 4) == [0, 1]
    assert even_choice(1, 4) == [0]


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (PSNR, 26.7449, "26.74"),
        (PSNR, math.inf, "∞"),
        (ACCURACY, 0.82, "0.8200"),
        (CROSS_ENTROPY, -0.25, "-0.2500"),
        (CROSS_ENTROPY, 0.000123, "1.23e-04"),
        (CROSS_ENTROPY, 0.0, "0.0000"),
        (CROSS_ENTROPY, math.nan, "–"),
    ],
)
def test_numbers_are_rounded_by_metric(metric: MetricInfo, value: float, text: str) -> None:
    assert format_value(metric, value) == text


# --- files


def test_tables_hold_every_number(tmp_path: Path) -> None:
    found = evaluation()
    writer = ReportWriter(tmp_path)
    write_tables(found, writer)
    files = writer.paths
    assert [f.name for f in files] == ["table.csv", "table.json", "per_image.csv", "per_class.csv"]
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
    assert last["gap_closed"]["accuracy"] == gap_closed(evaluation(), "accuracy", "DarioNet")


def test_the_files_say_in_how_many_images_a_metric_was_measured(tmp_path: Path) -> None:
    write_tables(photometry(), ReportWriter(tmp_path))
    columns = ["model", "flux_error", "flux_error/scatter", "flux_error/robust_scatter"]
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
    assert blind["mean"] == blind["scatter"] == {"flux_error": None}


def test_tables_without_labels_leave_out_the_classes(tmp_path: Path) -> None:
    write_tables(replace(evaluation(), labels=None, label_source=""), ReportWriter(tmp_path))
    assert not (tmp_path / "per_class.csv").exists()
    content = json.loads((tmp_path / "table.json").read_text("utf-8"))
    assert content["label_source"] is None


def test_the_printed_table_marks_the_best_in_bold() -> None:
    text = StringIO()
    console = Console(file=text, width=120, force_terminal=True, color_system="standard")
    print_table(evaluation(), console)
    (line,) = [line for line in text.getvalue().splitlines() if "DarioNet" in line]
    means = evaluation().table()[4]
    assert re.search(rf"\x1b\[1m +{means['psnr']:.2f}\x1b", line)
    assert "psnr [dB] ↑" in text.getvalue()
    (original,) = [line for line in text.getvalue().splitlines() if "original" in line]
    assert "\x1b[1m" not in original


def test_the_printed_table_shows_scatter_and_the_images_measured() -> None:
    assert heading(FLUX) == "flux_error [mag] → 0"
    text = StringIO()
    print_table(photometry(), Console(file=text, width=120))
    assert re.search(r"biased +0\.2000 ± 0\.1000 \(3\)", text.getvalue())
    for part in ("– (0)", "in how many of the 4 images", "→ 0: bias"):
        assert part in text.getvalue()
    plain = StringIO()
    print_table(evaluation(), Console(file=plain, width=120))
    assert "In brackets" not in plain.getvalue()
    assert "bias" not in plain.getvalue()


def test_a_narrow_terminal_cuts_no_number() -> None:
    text = StringIO()
    print_table(evaluation(), Console(file=text, width=60))
    for row in evaluation().table():
        (line,) = [line for line in text.getvalue().splitlines() if line.startswith(row["model"])]
        assert f"{row['accuracy']:.4f}" in line and f"{row['cross_entropy']:.4f}" in line
    assert "…" not in text.getvalue()


def test_a_wide_table_goes_on_in_further_blocks() -> None:
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
    assert len(rows) == 3
    assert " ".join(rows).count("0.2000 ± 0.1000 (3)") == 12
    assert rows[-1].endswith("0.0")
    # No word of a heading is broken: each is found whole, as often as there are metrics.
    assert text.getvalue().count("metric") == 12 + 1  # one in the explanation
    assert "…" not in text.getvalue()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "table.csv"
    with pytest.raises(OutputError, match=re.escape(f"{target}: cannot be written (")):
        write_file(target, "text")


def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write_file(tmp_path / "report.html", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"report\.html: cannot be written .*No space left"):
        write_file(target, "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


# --- the page


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    records = [
        {"kind": "train", "step": 1, "epoch": 0.5, "loss/total": 2.0},
        {"kind": "validation", "step": 2, "epoch": 1.0, "accuracy": 0.5},
    ]
    curves = tmp_path / "metrics.jsonl"
    curves.write_text("".join(json.dumps(record) + "\n" for record in records))
    path = write_report(evaluation(), tmp_path / "report", render, curves)
    text = path.read_text("utf-8")
    page = Page(text)
    sources = [image["src"] or "" for image in page.all("img")]
    pictures = {base64.b64decode(src.removeprefix("data:image/png;base64,")) for src in sources}
    assert pictures == {file.read_bytes() for file in path.parent.glob("*.png")}
    for picture in pictures:
        Image.open(BytesIO(picture)).verify()
    assert all(image["alt"] for image in page.all("img"))
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert all((a["href"] or "").startswith("#") for a in page.all("a"))
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert {(a["href"] or "")[1:] for a in page.all("a")} <= ids
    names = {file.name for file in path.parent.glob("*.png")}
    assert {
        "summary.png",
        "class_differences_accuracy.png",
        "class_differences_f1.png",
        "hardest_classes.png",
        "class_changes_original.png",
        "class_changes_untuned.png",
        "panels.png",
        "panels_losses_original.png",
        "panels_gains_untuned.png",
        "curves_loss.png",
        "curves_validation.png",
    } <= names
    assert not list(path.parent.glob(".*"))


def test_a_report_without_metrics_has_its_panels(tmp_path: Path) -> None:
    models = [ModelResult(name, {}, None, 0.0) for name in ("original", "untuned", "DarioNet")]
    found = Evaluation("t", ["a", "b"], None, "", None, [], models, [])
    write_report(found, tmp_path, render)
    assert (tmp_path / "panels.png").is_file()
    assert not (tmp_path / "summary.png").exists()


def test_the_page_states_numbers_notes_and_protocols(tmp_path: Path) -> None:
    found = evaluation()
    text = write_report(found, tmp_path).read_text("utf-8")
    means = found.table()[4]
    assert f"<strong>{means['psnr']:.2f}</strong>" in text
    gap = gap_closed(found, "accuracy", "DarioNet")
    assert gap is not None
    assert f"<td>{100 * gap:.1f} %</td>" in text
    assert "2 files &lt;skipped&gt; &amp; counted" in text
    assert "first answer &lt;equals&gt; the label" in text
    assert "60 images; labels: data set" in text
    assert "prefers-color-scheme: dark" in text
    assert "left out" not in text


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(evaluation(), labels=None), "they need labels and a teacher&#39;s answers."),
        (
            evaluation(10, 4),
            "10 images of 3 classes would show chance; they need at least 50 images of 5 classes.",
        ),
        (evaluation(60, 1), "60 images of 1 class would show chance"),
        (evaluation(1, 1), "1 image of 1 class would show chance"),
        (
            replace(evaluation(), models=evaluation().models[1:]),
            "they compare a model with the original images.",
        ),
        (small({"a": 1.0}), "they need labels and a teacher&#39;s answers."),
    ],
)
def test_what_makes_no_sense_is_left_out_and_said(
    tmp_path: Path, found: Evaluation, reason: str
) -> None:
    path = write_report(found, tmp_path)
    text = path.read_text("utf-8")
    Page(text)
    assert f"Figures of classes are left out: {reason}" in text
    assert {file.name for file in tmp_path.glob("*.png")} == {"summary.png"}


def test_the_page_shows_scatter_and_the_images_measured(tmp_path: Path) -> None:
    text = write_report(photometry(), tmp_path).read_text("utf-8")
    Page(text)
    assert "<strong>0.2000 ± 0.1000 (3)</strong>" in text
    assert "in how many of the 4 images the metric could be measured" in text


def test_classes_of_single_images_carry_a_warning(tmp_path: Path) -> None:
    text = write_report(evaluation(), tmp_path).read_text("utf-8")
    assert "Images a class: 5 (median), so single images decide" in text


def test_one_image_without_labels_has_its_panel(tmp_path: Path) -> None:
    path = write_report(replace(evaluation(1, 1), labels=None, classes=None), tmp_path, render)
    assert "blue frame" not in path.read_text("utf-8")
    assert (tmp_path / "panels.png").is_file()


def test_curves_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    curves = tmp_path / "metrics.jsonl"
    with pytest.raises(DataError, match=re.escape(f"{curves}: cannot be read (")):
        write_report(small({"a": 1.0}), tmp_path, curves=curves)
    curves.write_text('{"kind": "train"')
    with pytest.raises(DataError, match="expected one JSON object a line"):
        write_report(small({"a": 1.0}), tmp_path, curves=curves)


# --- of a trained classifier


def classified(classes: int = 3) -> Evaluation:
    random = np.random.default_rng(11)
    labels = random.integers(0, classes, 90)
    scores = random.gamma(1, 1, (90, classes)) + 2 * (labels[:, None] == np.arange(classes))
    names = ["no <dark> matter", "cdm", *(f"class {k}" for k in range(2, classes))]
    found = Classification(labels, scores / scores.sum(1, keepdims=True), names)
    right = {"accuracy": (found.predictions == labels).astype(np.float64)}
    models = [ModelResult("original", right, found.predictions, 1.0)]
    images = [f"{i}.npy" for i in range(90)]
    return Evaluation("t", images, labels, "data set", names, [ACCURACY], models, [], found)


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
        (line,) = [line for line in text.getvalue().splitlines() if line.startswith(row.name)]
        assert line.split()[-3:] == [str(row.images), f"{row.accuracy:.4f}", f"{row.auc:.4f}"]
    assert ("cdm" in text.getvalue()) == (classes == 3)


def test_the_page_shows_the_classifier(tmp_path: Path) -> None:
    path = write_report(classified(), tmp_path)
    text = path.read_text("utf-8")
    Page(text)
    names = {file.name for file in tmp_path.glob("*.png")}
    assert names == {"summary.png", "confusion_matrix.png", "roc.png"}
    assert "left out" not in text
