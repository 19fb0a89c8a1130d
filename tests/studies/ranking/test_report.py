from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from ranking_setup import make_ranking
from rich.console import Console

from srkit.studies.ranking.report import print_ranking, write_ranking


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_printed_table() -> None:
    console = Console(file=io.StringIO(), width=150)
    print_ranking(make_ranking(), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].strip() == "Set3, scale 4: by psnr_y"
    first = lines[3].split()
    assert first[:5] == ["1.", "big", "<net>", "31.17", "0.03"]
    assert "tie" in lines[3] and "tie" not in lines[4]
    assert lines[3].split()[-8:] == ["5.0000", "(3)", "16.7", "M", "1.03", "T", "2.500", "900"]
    assert lines[5].split()[-6:] == ["8.2500", "(2)", "0", "0", "0.001", "3"]
    text = " ".join(" ".join(lines).split())
    assert "big <net> and small are tied: the 95 % interval of their difference contains 0." in text
    assert "failed broken.pt: a model of scale 2; expected scale 4" in text
    assert "LR: bicubic" in text


def test_files(tmp_path: Path) -> None:
    page = write_ranking(make_ranking(), tmp_path)
    rows = table(tmp_path / "ranking.csv")
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert [row["tied_with_next"] for row in rows] == ["True", "False", ""]
    assert rows[0]["parameters"] == "16700000"
    assert float(rows[2]["niqe"]) == 8.25
    summary = json.loads((tmp_path / "ranking.json").read_text("utf-8"))
    assert summary["by"] == "psnr_y"
    assert [model["model"] for model in summary["models"]] == ["big <net>", "small", "bicubic"]
    assert summary["models"][1]["lead"]["value"] > 2
    assert summary["failures"] == {"broken.pt": "a model of scale 2; expected scale 4"}
    per_image = table(tmp_path / "per_image.csv")
    assert [row["small/psnr_y"] for row in per_image] == ["30.9", "33.1", "29.4"]
    assert per_image[2]["bicubic/niqe"] == "nan"
    assert page == tmp_path / "ranking.html"
    html = page.read_text("utf-8")
    assert "1. big &lt;net&gt;" in html
    assert html.count("data:image/png;base64,") == 2
    assert "<strong>broken.pt</strong>: a model of scale 2; expected scale 4" in html
    assert "http" not in html.replace("http-equiv", "")
