"""Classes selected by index, WordNet ID or name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srkit.data.classes import choose_classes

BIRDS = [("n1", "wren", "jenny"), ("n2", "Robin"), ("n3", "crane"), ("n4", "crane")]


def test_indices_ids_and_names() -> None:
    assert choose_classes([3, "ROBIN", "n1"], BIRDS) == [0, 1, 3]
    assert choose_classes(["Jenny", "n3"], BIRDS) == [0, 2]
    assert choose_classes([5, 2], 6) == [2, 5]


def test_a_file_with_one_class_per_line(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("robin\n\n  0 \nn4\n")
    assert choose_classes(path, BIRDS) == [0, 1, 3]


@pytest.mark.parametrize(
    ("given", "known", "message"),
    [
        (["wrenn", 1], BIRDS, "classes: unknown class 'wrenn' of 4; did you mean 'wren'?"),
        (
            ["ostrich", 1],
            BIRDS,
            "classes: unknown class 'ostrich' of 4; give a WordNet ID, a name or an index",
        ),
        (["crane", 1], BIRDS, "classes: 'crane' is ambiguous: classes 2 and 3; give an index"),
        ([4, 1], BIRDS, "classes: unknown class 4; expected 0 to 3"),
        ([-1, 1], BIRDS, "classes: unknown class -1; expected 0 to 3"),
        (["wren", 0], BIRDS, "classes: 'wren' and 0 are the same class 0; remove one"),
        ([2], BIRDS, "classes: got 1; expected at least two"),
        ([], BIRDS, "classes: got 0; expected at least two"),
        (
            ["wren", 1],
            6,
            "classes: unknown class 'wren'; these 6 classes have no names: give indices from 0",
        ),
    ],
)
def test_wrong_choices(given: list[int | str], known: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        choose_classes(given, known)


def test_no_file(tmp_path: Path) -> None:
    path = tmp_path / "none.txt"
    with pytest.raises(ValueError, match=f"^classes: {re.escape(str(path))}: cannot be read "):
        choose_classes(path, BIRDS)
