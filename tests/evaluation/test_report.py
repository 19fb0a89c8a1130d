"""The page of an evaluation."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from evaluation_setup import ACCURACY, MODELS, classified, evaluation, photometry, small
from PIL import Image

from srkit.errors import DataError
from srkit.evaluation.report import write_report
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report._pictures import ImageRow
from srkit.report._summaries import Summary


def render(indices: list[int]) -> list[ImageRow]:
    def image(side: int, index: int) -> np.ndarray:
        return np.full((side, side, 3), index / 100, dtype=np.float32)

    return [
        ImageRow({"LR" if n == "bicubic" else n: image(40, i) for n in MODELS}) for i in indices
    ]


class Page(HTMLParser):
    """Collects the tags of a page and checks that each is closed in order."""

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


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with all tables and figures of a restoration."""
    folder = tmp_path_factory.mktemp("evaluated")
    records = [
        {"kind": "train", "step": 1, "epoch": 0.5, "loss/total": 2.0},
        {"kind": "validation", "step": 2, "epoch": 1.0, "accuracy": 0.5},
    ]
    curves = folder / "metrics.jsonl"
    curves.write_text("".join(json.dumps(record) + "\n" for record in records))
    return write_report(evaluation(), folder / "report", render, curves)


def test_the_page_is_self_contained(path: Path) -> None:
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


def test_the_page_states_numbers_notes_and_protocols(path: Path) -> None:
    found, text = evaluation(), path.read_text("utf-8")
    means = found.table()[4]
    median, scatter = means["psnr/median"], means["psnr/robust_scatter"]
    assert f"<strong>{means['psnr']:.2f} [{median:.2f} ± {scatter:.2f}]</strong>" in text
    gap = found.gap_closed(ACCURACY, "DarioNet")
    assert f"<td>{100 * gap:.1f} %</td>" in text
    assert "2 files &lt;skipped&gt; &amp; counted" in text
    assert "first answer &lt;equals&gt; the label" in text
    assert "60 images; labels: data set" in text
    assert "prefers-color-scheme: dark" in text
    assert "No figures" not in text


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(evaluation(), labels=None), "they need labels and the predictions of a teacher."),
        (
            evaluation(10, 4),
            "10 images of 3 classes are too few; at least 50 images of 5 classes are needed.",
        ),
        (evaluation(60, 1), "60 images of 1 class are too few"),
        (evaluation(1, 1), "1 image of 1 class are too few"),
        (
            replace(evaluation(), models=evaluation().models[1:]),
            "they compare a model with the original images.",
        ),
    ],
)
def test_figures_of_classes_that_would_show_noise_are_replaced_by_a_note(
    tmp_path: Path, found: Evaluation, reason: str
) -> None:
    path = write_report(found, tmp_path)
    text = path.read_text("utf-8")
    Page(text)
    assert f"No figures of classes: {reason}" in text
    assert {file.name for file in tmp_path.glob("*.png")} == {"summary.png"}


def test_data_without_classes_need_no_note_on_them(tmp_path: Path) -> None:
    page = write_report(small({"a": 1.0}), tmp_path).read_text("utf-8")
    assert "No figures" not in page


def test_the_page_shows_scatter_and_the_images_measured(tmp_path: Path) -> None:
    text = write_report(photometry(), tmp_path).read_text("utf-8")
    Page(text)
    assert "<strong>0.2000 ± 0.1000 [0.2000 ± 0.1483] (3)</strong>" in text
    assert "on how many of the 4 images the metric could be measured" in text


def test_classes_of_single_images_carry_a_warning(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "Images per class: 5 (median), so single images matter" in text


def test_one_image_without_labels_has_its_panel(tmp_path: Path) -> None:
    path = write_report(replace(evaluation(1, 1), labels=None, classes=None), tmp_path, render)
    assert "the class that the teacher predicts" not in path.read_text("utf-8")
    assert (tmp_path / "panels.png").is_file()


def test_the_page_shows_the_validation_of_the_run(tmp_path: Path) -> None:
    cells = ["", "false"], [["LR", "0"], ["me", "2"]]
    found = Summary("Of <stars>.", *cells, title="Injected <stars>")
    page = write_report(small({"a": 1.0}), tmp_path, validation=found).read_text("utf-8")
    Page(page)
    assert '<h2 id="validation">Injected &lt;stars&gt;</h2>' in page and "Of &lt;stars&gt;." in page
    assert '<tr><th scope="row">me</th><td>2</td></tr>' in page


def test_curves_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    curves = tmp_path / "metrics.jsonl"
    with pytest.raises(DataError, match=re.escape(f"{curves}: cannot be read (")):
        write_report(small({"a": 1.0}), tmp_path, curves=curves)
    curves.write_text('{"kind": "train"')
    with pytest.raises(DataError, match="expected one JSON object per line"):
        write_report(small({"a": 1.0}), tmp_path, curves=curves)


def test_the_page_shows_the_classifier(tmp_path: Path) -> None:
    path = write_report(classified(), tmp_path)
    text = path.read_text("utf-8")
    Page(text)
    names = {file.name for file in tmp_path.glob("*.png")}
    assert names == {"summary.png", "confusion_matrix.png", "roc.png"}
    assert "No figures" not in text
