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
