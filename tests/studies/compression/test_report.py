"""The files, page and printed tables of a compression study."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from rich.console import Console

from srkit.studies.compression.report import notes, print_compression, write_compression
from srkit.studies.compression.results import Compression


def test_files(found: Compression, tmp_path: Path) -> None:
    page = write_compression(found, tmp_path)
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.settings)
    point = found.points()[-1]
    assert float(rows[-1]["bytes"]) == pytest.approx(point.size)
    assert float(rows[-1]["bits_per_hr_pixel"]) == pytest.approx(8 * point.size / 48**2)
    assert float(rows[-1]["psnr"]) == pytest.approx(point.values["psnr"])
    summary = json.loads((tmp_path / "compression.json").read_text())
    assert summary["points"][0]["psnr"] == "inf"
    keys = {"unit", "higher_is_better", "protocol", "signed"}
    assert summary["metrics"]["psnr"].keys() == keys
    assert {row["metric"] for row in summary["deltas"]} == {"psnr", "accuracy"}
    with (tmp_path / "per_image.csv").open(newline="") as file:
        each = list(csv.DictReader(file))
    assert len(each) == 5 * len(found.settings)
    mean = np.mean(
        [float(row["psnr"]) for row in each[len(found.settings) - 1 :: len(found.settings)]]
    )
    assert mean == pytest.approx(point.values["psnr"])
    with PIL.Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 600
    text = page.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text), "the page is not self-contained"
    for line in notes(found):
        assert html.escape(line.partition(":")[0]).replace("&#x27;", "&#39;") in text


def test_missing_deltas_have_a_reason(found: Compression) -> None:
    images = deepcopy(found.images)
    for image in images:
        for measured in image["settings"].values():
            measured["values"]["psnr"] = 7.0
    flat = replace(found, images=images, notes=[])
    (line,) = [line for line in notes(flat) if re.match("no delta of bytes by psnr\\b", line)]
    assert line.endswith(" for all curves: the values are not monotonic")
    assert not any(line.startswith("no delta of psnr ") for line in notes(flat))


def test_unreached_sizes_have_a_line_for_each_format(found: Compression) -> None:
    images = deepcopy(found.images[:4])
    for image in images:
        for key, measured in image["settings"].items():
            measured["reached"] = key not in ("webp/20/HR", "webp/50/HR")
    assert notes(replace(found, images=images, notes=[]))[0] == (
        "webp: at LR quality 20 (4 of 4 images), 50 (4 of 4 images) HR exceeds the LR file size "
        "even at quality 1; those points use quality 1. Raise evaluation.compression.qualities to "
        "avoid this."
    )


def test_printed_tables(found: Compression) -> None:
    text = io.StringIO()
    print_compression(found, Console(file=text, width=120))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    point = found.points()[-1]
    assert f"webp 90: HR {point.size:.0f} {point.values['psnr']:.2f}" in "\n".join(lines)
    assert any(line.startswith("webp small ") for line in lines)
