from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from srkit.components.options import (
    SUPPLIED,
    Option,
    build,
    options,
    options_model,
    validate,
    variants,
)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    alpha: int = 1


class Blur:
    """Blur the image.

    Parameters
    ----------
    scale
        Supplied by the core.
    width, height
        Sides of the kernel
        in pixels.
    kernel
        Its shape.
    weights
        Where to read them.
    """

    def __init__(
        self,
        *,
        scale: int,
        width: PositiveInt,
        height: Annotated[int, Field(ge=0, le=9)] = 3,
        kernel: Literal["box", "disc"] = "box",
        weights: Path | Literal["random"] = "random",
        parts: dict[str, Inner] | None = None,
        path: Path = Path("here"),
    ) -> None:
        self.scale = scale
        self.width = width
        self.path = path


def test_options_are_described() -> None:
    sides = "Sides of the kernel in pixels."
    assert options(Blur) == [
        Option("width", "int > 0", None, sides),
        Option("height", "int >= 0 and <= 9", "3", sides),
        Option("kernel", "'box' | 'disc'", "'box'", "Its shape."),
        Option("weights", "Path | 'random'", "'random'", "Where to read them."),
        Option("parts", "dict[str, Inner] | None", "None", ""),
        Option("path", "Path", "'here'", ""),
    ]


def test_scales_default_to_the_scale() -> None:
    def net(*, scales: tuple[int, ...]) -> tuple[int, ...]:
        """Return the scales."""
        return scales

    assert build(net, {}, scale=3, channels=3) == (3,)
    assert build(net, {}, scale=2, scales=(2, 4), channels=3) == (2, 4)


def test_supplied_parameters_cannot_be_set_in_a_recipe() -> None:
    names = {"scale", "scales", "channels", "formats", "least_side", "open_network"}
    assert names == SUPPLIED
    built = build(Blur, {"width": "5", "path": "there"}, scale=4, channels=3)
    assert (built.scale, built.width, built.path) == (4, 5, Path("there"))
    with pytest.raises(ValidationError, match=r"1 validation error[^\n]*\nscale\n  Extra inputs"):
        validate(Blur, {"width": 5, "scale": 2})


def test_a_missing_supplied_parameter_is_named() -> None:
    with pytest.raises(TypeError, match=r"Blur'> needs \['scale'\], which the caller"):
        build(Blur, {"width": 5})


def test_scientific_notation_that_yaml_reads_as_text_becomes_a_number() -> None:
    def loss(*, epsilon: float = 1.0) -> None: ...

    assert validate(loss, {"epsilon": "1e-4"}) == {"epsilon": 1e-4}


def test_a_factory_without_parameters_takes_none() -> None:
    class Plain: ...

    assert isinstance(build(Plain, {}), Plain)
    with pytest.raises(ValidationError, match="Extra inputs"):
        validate(Plain, {"weight": 1})


def test_a_factory_with_variants_takes_further_options() -> None:
    class Open:
        def __init__(self, *, first: int = 1, **options: Any) -> None:
            self.given = first, options

        @staticmethod
        def variants() -> dict[str, str]:
            return {"a": "depth=3"}

    assert build(Open, {"first": 2, "depth": [1]}).given == (2, {"depth": [1]})
    assert validate(Open, {"depth": 4}) == {"first": 1, "depth": 4}
    assert [each.name for each in options(Open)] == ["first"]
    assert variants(Open) == {"a": "depth=3"}


def positional(first: int) -> None: ...


def variadic(**options: Any) -> None: ...


def unannotated(*, first=1): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            positional,
            "positional: parameter 'first' must be keyword-only; a recipe sets options by name",
        ),
        (
            variadic,
            "variadic: parameter 'options' must be keyword-only; a recipe sets options by name",
        ),
        (unannotated, "unannotated: parameter 'first' has no type annotation"),
    ],
)
def test_a_signature_that_a_recipe_cannot_set_is_refused(factory: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        options_model(factory)
    assert str(caught.value) == message
