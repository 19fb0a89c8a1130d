"""Reports are written to one folder: tables, strict JSON, figures and a page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from srkit.errors import OutputError
from srkit.evaluation.results import Evaluation
from srkit.report import ReportWriter
from srkit.report._tables import strict


def test_a_table_is_written_with_its_header(tmp_path: Path) -> None:
    ReportWriter(tmp_path / "new").csv("t.csv", ["a", "b"], [[1, "x, y"], [math.inf, ""]])
    assert (tmp_path / "new" / "t.csv").read_text() == 'a,b\n1,"x, y"\ninf,\n'


def test_json_is_strict_at_any_depth(tmp_path: Path) -> None:
    tree = {"é": [math.nan, (math.inf, -math.inf)], "mean": {"a": np.float64("nan"), "b": 1}}
    ReportWriter(tmp_path).json("t.json", tree)
    text = (tmp_path / "t.json").read_text("utf-8")
    found = json.loads(text, parse_constant=pytest.fail)
    assert found == {"é": [None, ["inf", "-inf"]], "mean": {"a": None, "b": 1}}
    assert "é" in text and text.endswith("}\n")


@pytest.mark.parametrize("value", [1, 0.5, "nan", None, True])
def test_json_values_are_not_changed(value: object) -> None:
    assert strict(value) is value


def test_a_page_shows_the_figures_in_their_order(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path)
    for name in ("one", "two"):
        writer.figure(f"{name}.png", Figure(figsize=(2, 1)), name, f"caption <{name}>", dpi=50)
    values = {"explanations": [], "headings": [], "rows": [], "gaps": {"rows": []}, "notes": []}
    values |= {"validation": None, "differences": {"rows": []}}
    evaluation = Evaluation("title", ["a"], None, "", None, [], [], [])
    page = writer.page(
        "r.html", "report.html", package="srkit.evaluation", evaluation=evaluation, **values
    )
    text = page.read_text("utf-8")
    assert text.index("caption &lt;one&gt;") < text.index("caption &lt;two&gt;")
    assert text.count("data:image/png;base64,") == 2
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (100, 50)
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "two.png", "r.html"}


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        ReportWriter(tmp_path / "file").json("t.json", {})


def test_file_names_that_are_not_utf8_are_written(tmp_path: Path) -> None:
    writer, name = ReportWriter(tmp_path), "a\udcff.png"
    assert writer.csv("t.csv", ["image"], [[name]]).read_bytes() == b"image\na\xff.png\n"
    writer.json("t.json", {"image": name})
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == {"image": name}
    figure = Figure(figsize=(2, 1))
    figure.text(0, 0, name)
    writer.figure("t.png", figure, "title", "caption")
