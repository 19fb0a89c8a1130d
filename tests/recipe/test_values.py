from __future__ import annotations

from typing import Any

import pytest

from srkit.errors import RecipeError
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.values import Length


@pytest.mark.parametrize(
    ("given", "length", "text"),
    [
        (500, Length(500, "steps"), "500 steps"),
        (1000.0, Length(1000, "steps"), "1000 steps"),
        ("1 step", Length(1, "steps"), "1 steps"),
        (" 20 steps ", Length(20, "steps"), "20 steps"),
        ("10 epochs", Length(10, "epochs"), "10 epochs"),
        ("0.5epoch", Length(0.5, "epochs"), "0.5 epochs"),
        ("0.00001 epochs", Length(1e-5, "epochs"), "0.00001 epochs"),
        (1_234_567, Length(1_234_567, "steps"), "1234567 steps"),
        (Length(3, "epochs"), Length(3, "epochs"), "3 epochs"),
    ],
)
def test_durations(given: Any, length: Length, text: str) -> None:
    recipe = parse_recipe({"name": "small", "training": {"duration": given}}, "here")
    assert recipe.training.duration == length
    assert str(length) == text
    again = parse_recipe({"name": "small", "training": {"duration": text}}, "here")
    assert again.training.duration == length


@pytest.mark.parametrize("given", [0, -3, "0 epochs", "ten", "10 parsecs", True, [1], 1e400])
def test_wrong_durations(given: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"name": "small", "training": {"duration": given}}, "here")
    assert caught.value.problems == [
        f"training.duration: got {given!r}; expected a number of steps or, for instance, "
        "'10 epochs'"
    ]


@pytest.mark.parametrize("given", [3.5, "3.5 steps"])
def test_steps_are_whole(given: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"name": "small", "training": {"validate_every": given}}, "here")
    assert str(caught.value) == (
        f"here: 1 problem\n  training.validate_every: got {given!r}; "
        "expected a whole number of steps"
    )


def test_a_duration_in_steps() -> None:
    assert Length(7, "steps").in_steps(100) == 7
    assert Length(0.5, "epochs").in_steps(101) == 50
    assert Length(0.001, "epochs").in_steps(10) == 1
