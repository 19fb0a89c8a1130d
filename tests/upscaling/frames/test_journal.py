"""Journals of strips."""

from __future__ import annotations

import json
from pathlib import Path

from srkit.upscaling.frames.journal import Journal, Strip

STRIPS = [Strip(0, 16, "0badcafe", 1 / 3, 160), Strip(16, 20, "00000000", -2.5, 40)]


def _written(path: Path) -> Journal:
    journal = Journal(path, {"scale": 2.0, "given": {}}, 16, list(STRIPS))
    journal.write()
    return journal


def test_a_journal_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    _written(path)
    found = Journal(path, {"scale": 2.0, "given": {}})
    assert found.read()
    assert (found.side, found.strips) == (16, STRIPS)
    found.remove()
    assert not found.read()
    assert list(tmp_path.iterdir()) == []


def test_another_task(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    _written(path)
    found = Journal(path, {"scale": 3.0, "given": {}})
    assert not found.read()
    assert found.strips == []


def test_a_damaged_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    task = _written(path).task
    whole = path.read_text()
    stored = json.loads(whole)
    stored["content"]["strips"][0]["total"] = 1.0
    for text in (json.dumps(stored), whole[:-5], "", "[]", "7"):
        path.write_text(text)
        assert not Journal(path, task).read()
