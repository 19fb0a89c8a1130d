from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from srkit.components.options import options_model, validate
from srkit.components.problems import explain


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    alpha: int = 1


def blur(
    *,
    scale: int,
    width: PositiveInt,
    height: Annotated[int, Field(ge=0, le=9)] = 3,
    kernel: Literal["box", "disc"] = "box",
    weights: Path | Literal["random"] = "random",
    parts: dict[str, Inner] | None = None,
) -> None: ...


def problems(given: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        validate(blur, given)
    return explain(caught.value, "degradation", options_model(blur))


def test_a_supplied_parameter_is_not_among_the_known_keys() -> None:
    assert problems({"width": 5, "scale": 2}) == [
        "degradation.scale: unknown key 'scale'; known: height, kernel, parts, weights, width"
    ]


def test_every_problem_is_reported_at_once() -> None:
    given = {"height": 10, "kernel": "bx", "wieght": 1}
    assert problems(given) == [
        "degradation.width: missing; it has no default",
        "degradation.height: got 10; expected a number less than or equal to 9",
        "degradation.kernel: got 'bx'; expected 'box' or 'disc'",
        "degradation.wieght: unknown key 'wieght'; did you mean 'weights'?",
    ]


def test_a_union_causes_one_problem_without_the_names_of_its_members() -> None:
    assert problems({"width": 1, "weights": 3}) == [
        "degradation.weights: got 3; expected a path or 'random'"
    ]


def test_a_nested_key_is_compared_with_its_siblings() -> None:
    assert problems({"width": 1, "parts": {"first": {"alhpa": 2}, "second": {"alpha": "x"}}}) == [
        "degradation.parts.first.alhpa: unknown key 'alhpa'; did you mean 'alpha'?",
        "degradation.parts.second.alpha: got 'x'; expected a valid integer",
    ]


def test_the_message_of_a_validator_is_kept() -> None:
    class Checked(BaseModel):
        side: int

        def model_post_init(self, context: Any, /) -> None:
            raise ValueError("the side has to be even")

    with pytest.raises(ValidationError) as caught:
        Checked(side=3)
    assert explain(caught.value, "crop", Checked) == ["crop: the side has to be even"]
