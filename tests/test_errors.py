from __future__ import annotations

import pytest

from srkit.errors import (
    DataError,
    OutputError,
    PluginError,
    RecipeError,
    SrkitError,
    TrainingError,
    WeightsError,
    nearest,
)


@pytest.mark.parametrize("kind", [DataError, OutputError, PluginError, TrainingError, WeightsError])
def test_every_error_is_an_srkit_error(kind: type[SrkitError]) -> None:
    assert issubclass(kind, SrkitError)
    assert str(kind("a.png: damaged")) == "a.png: damaged"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a.gz: begins with the bytes b'no pictu'", "a.gz: begins with the bytes 'no pictu'"),
        ('not a gzip file (b"it\'s")', "not a gzip file ('it's')"),
        ("header b'\\x89P\\n\\\\'", "header 89 50 0a 5c"),
        ("b'' and b\"\\x00'\"", "'' and 00 27"),
        ("/b'x'/a.png, rb'x' and b'é' and b'cu", "/b'x'/a.png, rb'x' and b'é' and b'cu"),
    ],
)
def test_bytes_are_shown_readably(message: str, shown: str) -> None:
    assert str(DataError(message)) == shown


def test_recipe_error_lists_its_problems() -> None:
    error = RecipeError("a.yaml", ["scale: missing", "name: unknown key"])
    assert isinstance(error, SrkitError)
    assert str(error) == "a.yaml: 2 problems\n  scale: missing\n  name: unknown key"
    assert (error.source, error.problems) == ("a.yaml", ["scale: missing", "name: unknown key"])


def test_recipe_error_counts_one_problem() -> None:
    assert str(RecipeError("a.yaml", ["scale: missing"])) == "a.yaml: 1 problem\n  scale: missing"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("rrbd", {"rrdb", "edsr"}, "did you mean 'rrdb'?"),
        ("unet", {"rrdb", "edsr"}, "known: edsr, rrdb"),
        ("unet", (), "none is known"),
    ],
)
def test_nearest(name: str, known: set[str], hint: str) -> None:
    assert nearest(name, known) == hint
