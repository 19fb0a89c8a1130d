"""Check the signature and the documentation of factories and commands."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from srkit.components.commands import make_command
from srkit.components.options import options, options_model, supplied_to, validate
from srkit.components.problems import explain
from srkit.components.registry import Component
from srkit.interfaces._contract import require
from srkit.testing._requirements import stated


@stated
def check_component(component: Component, /, **given: Any) -> None:
    """Check a factory: its signature, its documentation, and that it accepts options.

    Parameters
    ----------
    component
        The component, ``registry.get(kind, name)``.
    **given
        Options as a recipe sets them.

    Raises
    ------
    AssertionError
        If a parameter is positional, variadic or not annotated, or its default is a list or dict;
        the docstring lacks a summary or the meaning of an option; or `given` is refused.
    """
    model = _check_signature(component)
    try:
        validate(component.factory, given, supplied_to(component.kind))
    except ValidationError as error:
        raise AssertionError("; ".join(explain(error, component.title, model))) from error


@stated
def check_command(component: Component, /) -> None:
    """Check a command: its signature, its documentation, and the types of its options.

    Parameters
    ----------
    component
        The command, ``registry.get("commands", name)``.

    Raises
    ------
    AssertionError
        If a parameter is positional, variadic or not annotated, the docstring lacks a summary or
        the meaning of an option, or the command line cannot parse the type of an option.
    """
    _check_signature(component)
    try:
        make_command(component)
    except (RuntimeError, TypeError) as error:
        message = f"{component.title}: cannot be a command: {error}"
        raise AssertionError(message) from error


def _check_signature(component: Component) -> type[BaseModel]:
    factory, supplied, where = component.factory, supplied_to(component.kind), component.title
    try:
        model = options_model(factory, supplied)
    except (TypeError, NameError) as error:
        raise AssertionError(f"{where}: {error}") from error
    require(bool(component.summary), f"{where}: the docstring must begin with a summary")
    silent = [option.name for option in options(factory, supplied) if not option.meaning]
    require(
        not silent,
        f"{where}: the docstring's 'Parameters' section must describe these options: "
        f"{', '.join(silent)}",
    )
    for name, field in model.model_fields.items():
        require(
            not isinstance(field.default, list | dict | set),
            f"{where}: parameter '{name}' has a default that can be changed, {field.default!r}; "
            "use a tuple or None",
        )
    return model
