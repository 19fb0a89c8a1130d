"""The built components of a recipe."""

from __future__ import annotations

from typing import Any

from srkit.assembly.assembly import wanted_stages


def test_patterns_match_stages_of_the_teacher() -> None:
    class Reader:
        def __init__(self, *stages: str) -> None:
            self.stages = stages

    teacher: Any = Reader("fpn.0", "fpn.1", "head.scores")
    readers: Any = {"first": Reader("fpn.*"), "second": Reader("fpn.1", "head.scores", "layer9")}
    # What matches nothing is kept: the teacher refuses it, and names its own.
    assert wanted_stages(readers, teacher) == ["fpn.0", "fpn.1", "head.scores", "layer9"]
    assert wanted_stages({"one": Reader()}, teacher) == []  # type: ignore[dict-item]
