from __future__ import annotations

from srkit.recipe.trees import merge


def test_merging_leaves_both_trees_alone() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": {"type": "x", "e": 1}}
    change = {"a": {"c": [3]}, "d": {"type": "x", "f": 2}}
    assert merge(base, change) == {"a": {"b": 1, "c": [3]}, "d": {"type": "x", "e": 1, "f": 2}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": {"type": "x", "e": 1}}
    assert change == {"a": {"c": [3]}, "d": {"type": "x", "f": 2}}
