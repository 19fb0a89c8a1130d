from __future__ import annotations

import os
from pathlib import Path

import pytest

from srkit.system.cache import LEDGER, cached_files, clear_cache, record_cached


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SRKIT_CACHE", str(folder))
    return folder


def written(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    record_cached(path)
    return path


def owners(cache: Path) -> dict[str, bool]:
    return {each.path.relative_to(cache).as_posix(): each.own for each in cached_files()}


def test_a_folder_that_does_not_exist_is_empty(cache: Path) -> None:
    assert cached_files() == []
    clear_cache(cached_files())
    assert not cache.exists()


def test_only_what_srkit_wrote_is_removed(cache: Path, tmp_path: Path) -> None:
    weights = written(cache / "weights.pth", "12345")
    written(cache / "engines" / "a.json")
    replaced = written(cache / "replaced.pth")
    replaced.write_text("by the user")
    os.utime(replaced, (1, 1))
    mine = cache / "engines2" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    written(tmp_path / "elsewhere.pth")  # as of a shard cache that a recipe names
    assert owners(cache) == {
        "engines/a.json": True,
        "engines2/thesis.txt": False,
        "replaced.pth": False,
        "weights.pth": True,
    }
    assert [each.size for each in cached_files() if each.path == weights] == [5]
    clear_cache(cached_files())
    assert sorted(path.name for path in cache.iterdir()) == ["engines2", "replaced.pth"]
    assert mine.read_text() == "mine"
    assert (tmp_path / "elsewhere.pth").exists()


def test_a_file_that_is_written_again_is_known_by_its_last_state(cache: Path) -> None:
    for content in ("one", "two, longer"):
        written(cache / "a.json", content)
    assert owners(cache) == {"a.json": True}


def test_interrupted_downloads_belong_to_srkit(cache: Path) -> None:
    cache.mkdir()
    for name, notes in (("a", '{"url": "http://a", "version": "1"}'), ("b", '{"mine": 1}')):
        (cache / f"{name}.partial").write_text("begun")
        (cache / f"{name}.partial.json").write_text(notes)
    (cache / "c.partial").write_text("mine")
    assert owners(cache) == {
        "a.partial": True,
        "a.partial.json": True,
        "b.partial": False,
        "b.partial.json": False,
        "c.partial": False,
    }


def test_a_damaged_or_hostile_list_harms_nothing(cache: Path, tmp_path: Path) -> None:
    written(cache / "a.json")
    outside = tmp_path / "outside"
    outside.write_text("x")
    state = outside.stat()
    line = f'{{"name": "../outside", "size": {state.st_size}, "time": {state.st_mtime_ns}}}\n'
    with (cache / LEDGER).open("a") as ledger:
        ledger.write('{"name": "b.js\n[]\n{"name": 3, "size": 1, "time": 2}\n' + line)
    clear_cache(cached_files())
    assert outside.exists()
    assert not (cache / "a.json").exists()


def test_links_are_not_removed(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("x")
    cache.mkdir()
    (cache / "link").symlink_to(target)
    record_cached(cache / "link")  # whose file is elsewhere
    clear_cache(cached_files())
    assert (cache / "link").exists()
