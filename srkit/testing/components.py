"""Check a factory's signature and documentation."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from srkit.components import explain, options, options_model, validate
from srkit.registry import Component
from srkit.testing.requirements import (
    require,
)


def check_component(component: Component, /, **given: Any) -> None:
    """Check a factory: its signature, its documentation, and that it accepts options.

    Parameters
    ----------
    component
        What the registry knows of it, ``registry.get(kind, name)``.
    **given
        Options as a recipe would set them.

    Raises
    ------
    AssertionError
        If a parameter is positional, variadic or not annotated, the docstring lacks a summary or
        the meaning of an option, or `given` is refused.
    """
    factory = component.factory
    where = f"{component.kind} '{component.name}'"
    try:
        model = options_model(factory)
    except (TypeError, NameError) as error:
        raise AssertionError(f"{where}: {error}") from error
    require(bool(component.summary), f"{where}: the docstring has to open with a summary")
    silent = [option.name for option in options(factory) if not option.meaning]
    require(
        not silent,
        f"{where}: the docstring's 'Parameters' section has to say what these options mean: "
        f"{', '.join(silent)}",
    )
    try:
        validate(factory, given)
    except ValidationError as error:
        raise AssertionError("; ".join(explain(error, where, model))) from error
