from __future__ import annotations

import pytest

from srkit.recipe.yaml_loader import parse_yaml


def bomb(levels: int, merged: str = "") -> str:
    """Return YAML whose every level refers ten times to the one before."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * 10)
        value = f"{{<<: [{names}]}}" if merged else f"[{names}]"
        lines.append(f"a{level}: &a{level} {value}")
    return "\n".join(lines)


@pytest.mark.parametrize("merged", ["", "merged"])
def test_aliases_that_multiply_are_refused(merged: str) -> None:
    assert parse_yaml(bomb(3, merged))["a0"] == {"x": 1}
    with pytest.raises(ValueError, match=r"^line \d, column \d+: more than 100000 values, when al"):
        parse_yaml(bomb(40, merged))


def test_an_alias_that_contains_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^line 1, column \d+: this alias contains itself$"):
        parse_yaml("a: &a [1, *a]")


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{b: " * 5000, "- " * 5000])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^line 1, column \d+: nested more than 50 deep$"):
        parse_yaml(text)


def test_aliases_and_merges_are_kept() -> None:
    text = "base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\nsame: *b\nlist: [*b, *b]\n"
    assert parse_yaml(text) == {
        "base": {"x": 1, "y": 2},
        "own": {"x": 1, "y": 3},
        "same": {"x": 1, "y": 2},
        "list": [{"x": 1, "y": 2}] * 2,
    }
