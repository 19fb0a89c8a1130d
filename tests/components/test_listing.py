from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import PositiveInt
from rich.console import Console

from srkit import hookimpl
from srkit.components.listing import as_json, show
from srkit.components.registry import KINDS, Registry
from srkit.errors import PluginError


class Sharp:
    """Penalise blur.

    Parameters
    ----------
    width
        Width of ``w`` [pixels].
    parts
        Weight of each part.
    """

    def __init__(self, *, width: PositiveInt, parts: dict[str, float] | None = None) -> None: ...


class Plain:
    """Penalise nothing."""


@pytest.fixture
def small() -> Registry:
    """Two losses, one that cannot be imported, and a plugin that failed."""
    registry = Registry()

    @hookimpl
    def srkit_losses() -> dict[str, Any]:
        return {"sharp": Sharp, "plain": Plain, "lost": "srkit_no_such_package:Lost"}

    good = SimpleNamespace(srkit_losses=srkit_losses)
    registry.register(good, "good", distribution="srkit-good", version="1.5")

    @hookimpl
    def srkit_metrics() -> dict[str, Any]:
        raise KeyError("oops")

    bad = SimpleNamespace(srkit_metrics=srkit_metrics)
    registry.register(bad, "bad", distribution="srkit-bad", version="0.1")
    return registry


def printed(registry: Registry, kind: str | None = None, name: str | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    show(registry, kind, name, console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_overview_lists_kinds_summaries_and_failures(small: Registry) -> None:
    lines = printed(small)
    assert [line for line in lines if line in KINDS] == list(KINDS)
    words = [" ".join(line.split()) for line in lines]
    assert "sharp Penalise blur. srkit-good 1.5" in words
    assert "bad srkit_metrics failed: KeyError: 'oops' srkit-bad 0.1" in words
    assert lines[-1] == "`srkit plugins --json` has the tracebacks."


def test_a_plugin_for_another_version_is_a_line_with_both_versions() -> None:
    registry = Registry()
    newer = SimpleNamespace(SRKIT_API=2)
    registry.register(newer, "clouds", distribution="srkit-clouds", version="1.5")
    text = " ".join(" ".join(printed(registry)[-4:]).split())
    assert "supports version 2 of the plugin interface, but srkit" in text
    assert "has version 1; install a newer srkit" in text
    assert "tracebacks" not in text


def test_a_kind_lists_option_names_and_errors(small: Registry) -> None:
    lines = printed(small, "losses")
    assert "sharp  Penalise blur." in "\n".join(lines)
    assert any("width, parts" in line for line in lines if line.startswith("sharp"))
    assert any("none" in line for line in lines if line.startswith("plain"))
    assert "cannot be imported from 'srkit_no_such_package:Lost'" in " ".join(
        " ".join(lines).split()
    )


def test_a_component_lists_type_default_and_meaning(small: Registry) -> None:
    assert printed(small, "losses", "sharp") == [
        "loss 'sharp' of srkit-good 1.5",
        "Penalise blur.",
        "",
        "name   type                     default   meaning",
        "width  int > 0                  required  Width of w [pixels].",
        "parts  dict[str, float] | None  None      Weight of each part.",
    ]
    assert printed(small, "losses", "plain")[-1] == "It has no options."


def test_json_contains_everything(small: Registry) -> None:
    everything = as_json(small)
    assert isinstance(everything, dict)
    assert json.loads(json.dumps(everything)) == everything
    lost, plain, sharp = everything["components"]
    assert plain["options"] == []
    assert lost["error"].startswith("loss 'lost' of srkit-good 1.5 cannot be imported")
    assert sharp == {
        "kind": "losses",
        "name": "sharp",
        "summary": "Penalise blur.",
        "distribution": "srkit-good",
        "version": "1.5",
        "options": [
            {
                "name": "width",
                "type": "int > 0",
                "default": None,
                "meaning": "Width of ``w`` [pixels].",
            },
            {
                "name": "parts",
                "type": "dict[str, float] | None",
                "default": "None",
                "meaning": "Weight of each part.",
            },
        ],
    }
    assert as_json(small, "losses") == everything["components"]
    assert as_json(small, "losses", "sharp") == sharp
    (failure,) = everything["failures"]
    assert failure["reason"] == "srkit_metrics failed: KeyError: 'oops'"
    assert "Traceback" in failure["details"]


@pytest.mark.parametrize("answer", [printed, as_json])
def test_unknown_names_suggest_the_nearest(small: Registry, answer: Any) -> None:
    with pytest.raises(PluginError, match="did you mean 'losses'"):
        answer(small, "loses")
    with pytest.raises(PluginError, match="did you mean 'sharp'"):
        answer(small, "losses", "shap")


def test_a_signature_that_a_recipe_cannot_set(small: Registry) -> None:
    @hookimpl
    def srkit_teachers() -> dict[str, Any]:
        return {"odd": lambda x: x}

    odd = SimpleNamespace(srkit_teachers=srkit_teachers)
    small.register(odd, "odd", distribution="odd", version="1")
    message = (
        r"^teacher 'odd' of odd 1 has parameters that a recipe cannot set: .*"
        "parameter 'x' must be keyword-only"
    )
    with pytest.raises(PluginError, match=message):
        show(small, "teachers", "odd", Console())
