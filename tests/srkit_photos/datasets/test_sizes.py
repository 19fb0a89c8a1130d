"""Sizes of picture files, found once and kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from srkit_photos.datasets import sizes
from srkit_photos.datasets.folders import image_folder
from srkit_photos.datasets.sizes import measure

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.system.cache import cached_files, clear_cache

NAMES = ["a.png", "b/c.png", "d.png"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    for index, name in enumerate(NAMES):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("L", (20 + index, 10)).save(path)
    return tmp_path / "pictures"


class Examined:
    """Looks at the size of a file, and records which ones."""

    def __init__(self, formats: Formats, fail: Callable[[Path], bool] = lambda path: False) -> None:
        self.formats, self.fail = formats, fail
        self.names: list[str] = []

    def __call__(self, path: Path) -> tuple[int, int]:
        self.names.append(path.name)
        if self.fail(path):
            raise KeyboardInterrupt
        return self.formats.size(path)


def test_a_file_is_examined_again_only_if_it_changed(root: Path, formats: Formats) -> None:
    first = Examined(formats)
    sides, problems = measure(root, NAMES, first)
    assert (sides.tolist(), problems) == ([[10, 20], [10, 21], [10, 22]], {})
    assert first.names == ["a.png", "c.png", "d.png"]
    PIL.Image.new("L", (7, 5)).save(root / "d.png")
    os.utime(root / "d.png", ns=(1, 1))
    again = Examined(formats)
    sides, problems = measure(root, NAMES, again)
    assert (sides.tolist(), problems) == ([[10, 20], [10, 21], [5, 7]], {})
    assert again.names == ["d.png"]
    other = Examined(formats)
    measure(root, NAMES[::-1], other, "other settings")
    assert other.names == ["d.png", "c.png", "a.png"]


def test_what_an_interrupted_call_found_is_kept(
    root: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "PART", 1)
    stopped = Examined(formats, lambda path: path.name == "d.png")
    with pytest.raises(KeyboardInterrupt):
        measure(root, NAMES, stopped)
    again = Examined(formats)
    measure(root, NAMES, again)
    assert stopped.names == ["a.png", "c.png", "d.png"]
    assert again.names == ["d.png"]


def test_results_are_saved_now_and_then(
    root: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "PERIOD", -1.0)
    written = []
    monkeypatch.setattr(
        sizes, "_write", lambda cache, known, keys, sides: written.append(len(keys))
    )
    measure(root, NAMES, formats.size)
    assert written == [1, 2, 3, 3]


def test_problems_are_looked_at_each_time(root: Path, formats: Formats) -> None:
    (root / "d.png").unlink()
    for _ in range(2):
        sides, problems = measure(root, NAMES, formats.size)
        assert problems == {2: f"{root / 'd.png'}: no such file"}
        assert sides[:2].tolist() == [[10, 20], [10, 21]]


def test_workers_find_the_same(
    root: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "FEW", 0)
    monkeypatch.setattr(sizes, "PART", 2)
    sides, problems = measure(root, NAMES, formats.size)
    assert (sides.tolist(), problems) == ([[10, 20], [10, 21], [10, 22]], {})


def test_a_damaged_cache_and_one_that_cannot_be_written_do_no_harm(
    root: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(root, NAMES, formats.size)
    (cache,) = (root.parent / "cache" / "sizes").iterdir()
    cache.write_bytes(b"damaged")
    assert measure(root, NAMES, formats.size)[0].tolist()[0] == [10, 20]
    (root.parent / "file").touch()
    monkeypatch.setenv("SRKIT_CACHE", str(root.parent / "file"))
    assert measure(root, NAMES, formats.size)[0].tolist()[0] == [10, 20]


def test_skipping_decodes_a_picture_once(root: Path, formats: Formats) -> None:
    damaged = bytearray((root / "a.png").read_bytes())
    damaged[damaged.index(b"IDAT") + 8] ^= 0xFF  # the header is right
    (root / "a.png").write_bytes(damaged)
    for _ in range(2):
        data = image_folder(formats=formats, root=root, unreadable="skip", least_side=10)
        assert [data.name(index) for index in range(len(data))] == ["b/c.png", "d.png"]
        assert data.notes[0].startswith("skipped 1 of 3 pictures:\n")
    with pytest.raises(DataError, match="none of 3 pictures can be used"):
        image_folder(formats=formats, root=root, unreadable="skip", least_side=11)


@pytest.mark.parametrize("size", [None, 8, 16])
def test_sizes_are_those_of_the_samples(root: Path, formats: Formats, size: int | None) -> None:
    data = image_folder(formats=formats, root=root, size=size)
    found = data.sizes()
    if size == 16:
        assert sorted(found.unreadable) == [0, 1, 2]
        assert found.unreadable[0] == (
            f"{root / 'a.png'}: has 20 x 10 pixels; size 16 requires a short side of at least 16: "
            "lower the size, or enlarge or remove the picture"
        )
        return
    assert not found.unreadable
    samples = [data[index].hr.shape[-2:] for index in range(3)]
    np.testing.assert_array_equal(found.hr, samples)


def test_the_cache_can_be_cleared(root: Path, formats: Formats) -> None:
    for _ in range(2):  # a changed file of the cache, too
        measure(root, NAMES, formats.size)
        PIL.Image.new("L", (7, 5)).save(root / "d.png")
    (cached,) = cached_files()
    assert cached.own
    clear_cache([cached])
    assert not cached_files()
