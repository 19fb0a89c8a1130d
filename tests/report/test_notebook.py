from __future__ import annotations

from pathlib import Path

import pytest

from srkit.errors import DataError
from srkit.report import Report


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_run_shows_its_report_and_tables(tmp_path: Path) -> None:
    page = write(tmp_path / "evaluation", "report.html", '<p class="x">PSNR & SSIM</p>')
    write(tmp_path / "evaluation", "summary.csv", "model,psnr,images\n<net>,31.41592,5\nx,inf,\n")
    report = Report(tmp_path, height=321)
    assert report.page == page
    shown = report._repr_html_()
    assert '<iframe srcdoc="&lt;p class=&quot;x&quot;&gt;PSNR &amp; SSIM&lt;/p&gt;"' in shown
    assert "height:321px" in shown
    table = report.tables["summary"]
    assert table.column("psnr") == ["31.41592", "inf"]
    assert "<td>&lt;net&gt;</td><td>31.42</td><td>5</td>" in table._repr_html_()
    assert "<td>inf</td><td></td>" in table._repr_html_()
    with pytest.raises(ValueError, match="unknown column 'ssim'; the columns are model, psnr, im"):
        table.column("ssim")


def test_a_folder_without_a_single_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no report; expected a page or the folder of one"):
        Report(tmp_path)
    for name in ("evaluation", "validation"):
        write(tmp_path / name, f"{name}.html", "")
    with pytest.raises(DataError, match=r"contains several reports; choose one of .*evaluation\."):
        Report(tmp_path)
    assert Report(tmp_path / "validation").page.name == "validation.html"
