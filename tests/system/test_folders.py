from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from srkit.errors import DataError, OutputError
from srkit.report.pages import render_page
from srkit.system.files import atomic, write_file
from srkit.system.folders import check_replaceable, contains_files, output_folder

MADE = {"seed": 1, "inputs": "3fa", "sides": [3, 4]}


def claim(folder: Path, **changes: object) -> None:
    made = {**MADE, **changes}
    with output_folder(
        folder, folder / "made.json", made, "srkit data test", inputs="of other images"
    ):
        pass


def test_a_folder_is_filled_from_the_same_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    claim(folder)
    assert json.loads((folder / "made.json").read_text()) == MADE
    (folder / "a.npy").touch()
    claim(folder)
    others: dict[str, dict[str, object]] = {
        "made with seed 1, not 2": {"seed": 2},
        "of other images": {"inputs": "9"},
    }
    for differs, changes in others.items():
        message = f"{folder}/made.json: {differs}; choose another --out, or remove the folder"
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            claim(folder, **changes)
    assert sorted(path.name for path in folder.iterdir()) == ["a.npy", "made.json"]


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    for name in ("thesis.tex", ".lock"):
        (tmp_path / name).write_text("mine")
    message = f"{tmp_path}: contains files that srkit data test did not write; choose another --out"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        claim(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "thesis.tex": "mine",
        ".lock": "mine",
    }


def test_one_process_at_a_time(tmp_path: Path) -> None:
    inner = pytest.raises(OutputError, match=r"is being written by another process$")
    with output_folder(tmp_path, tmp_path / "made.json", MADE, "srkit data test"), inner:
        claim(tmp_path)


@pytest.mark.parametrize("name", ["shard.tar", "hr/night/1.npy"])
def test_what_a_killed_process_was_writing_is_removed(name: str, tmp_path: Path) -> None:
    claim(tmp_path)
    with atomic(tmp_path / name) as partial:
        partial.touch()
    partial.touch()
    own = [tmp_path / "a.partial.npy", tmp_path / ".thesis.partial.tex"]
    for path in own:
        path.touch()
    claim(tmp_path)
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {tmp_path / "made.json", tmp_path / name, *own}


def test_a_process_that_was_killed_at_its_first_file(tmp_path: Path) -> None:
    """Its folder is not taken for one of other files."""
    with atomic(tmp_path / "made.json") as partial:
        partial.touch()
    (tmp_path / "made.json").rename(partial)
    assert not contains_files(tmp_path)
    claim(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["made.json"]
    assert contains_files(tmp_path)


def test_only_reports_of_srkit_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "report" / "report.html"
    check_replaceable(page, overwrite=False)
    check_replaceable(page.parent, overwrite=False)
    write_file(page, "<html>mine</html>")
    (page.parent / "table.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"report\.html: already exists; choose another"):
        check_replaceable(page, overwrite=False)
    with pytest.raises(OutputError, match=r"report: contains files that srkit did not write"):
        check_replaceable(page.parent, overwrite=False)
    check_replaceable(page, overwrite=True)
    check_replaceable(page.parent, "table.csv", overwrite=False)
    write_file(page, render_page("page.html", package="srkit.report"))
    check_replaceable(page, overwrite=False)
    check_replaceable(page.parent, overwrite=False)
