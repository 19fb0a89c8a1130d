"""Commands that plugins add to the command line and to its groups, such as `srkit data`."""

from __future__ import annotations

import inspect
from copy import copy
from functools import cached_property
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import ParameterInfo

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from srkit.components.registry import Component, Registry


class CommandGroup(TyperGroup):
    """A group of commands to which plugins can add; their modules are imported on use."""

    @cached_property
    def registry(self) -> Registry:
        """The installed components."""
        from srkit.components.registry import Registry

        return Registry.discover()

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """List srkit's own commands, then those of plugins."""
        own = super().list_commands(ctx)
        offered = [name.rpartition(" ") for name in self.registry.names("commands")]
        group = self._path("").strip()
        return [*own, *(name for place, _, name in offered if place == group and name not in own)]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Return a command, or None; raise PluginError if it may belong to a failed plugin."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        name = self._path(cmd_name)
        if name in self.registry.names("commands") or self.registry.failures:
            return LazyCommand(self.registry.get("commands", name))
        return None

    def _path(self, command: str) -> str:
        """Return the name of a command as plugins offer it: with its group, if there is one."""
        from srkit.components.registry import COMMAND_GROUPS

        return f"{self.name} {command}" if self.name in COMMAND_GROUPS else command


class LazyCommand(TyperCommand):
    """A plugin's command, of which only name and summary are known until it is run."""

    def __init__(self, component: Component) -> None:
        name = component.name.split()[-1]
        super().__init__(name, help=_plain(component.summary), rich_markup_mode="rich")
        self.component = component

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """Import the command and let it parse its arguments."""
        return make_command(self.component).make_context(*arguments, **extra)


def make_command(component: Component) -> Any:
    """Convert a function to a command: its parameters become options, its docstring the help.

    Raises
    ------
    PluginError
        If the function cannot be imported.
    TypeError
        If a parameter is positional, variadic, not annotated, or of a type that cannot be parsed.
    """
    from docstring_parser import DocstringStyle, parse
    from pydantic import ValidationError

    from srkit.components.options import options, options_model, supplied_to, validate
    from srkit.components.problems import explain

    function, supplied = component.factory, supplied_to(component.kind)
    model = options_model(function, supplied)
    meanings = {option.name: option.meaning for option in options(function, supplied)}

    def run(**given: Any) -> None:
        try:
            checked = validate(function, given, supplied)
        except ValidationError as error:
            raise typer.BadParameter("; ".join(explain(error, "", model))) from None
        function(**checked)

    for name, field in model.model_fields.items():
        if not _is_parsable(field.annotation):
            raise TypeError(
                f"parameter '{name}' has the type {field.annotation}; expected text, a number, "
                "true or false, a path, a Literal, or a list of one of these"
            )
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.is_required() else field.default,
            annotation=Annotated[field.annotation, _parameter_info(field, meanings[name])],
        )
        for name, field in model.model_fields.items()
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    text = parse(inspect.getdoc(function) or "", DocstringStyle.NUMPYDOC)
    paragraphs = [text.short_description, text.long_description]
    help_text = "\n\n".join(_plain(each) for each in paragraphs if each)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(component.name.split()[-1], help=help_text)(run)
    return typer.main.get_command(app)


def _parameter_info(field: FieldInfo, meaning: str) -> ParameterInfo:
    """Return the ``typer.Argument()`` or ``typer.Option()`` of an annotation, or an option."""
    declared = (each for each in field.metadata if isinstance(each, ParameterInfo))
    info = copy(next(declared, typer.Option()))
    info.help = _plain(info.help or meaning)
    return info


def _is_parsable(annotation: Any) -> bool:
    """Return whether typer can parse a type; it would read any unknown type as text."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        members = [member for member in arguments if member is not NoneType]
        return len(members) == 1 and _is_parsable(members[0])
    if origin is list:
        return get_origin(arguments[0]) is not list and _is_parsable(arguments[0])
    return annotation in (str, int, float, bool, Path) or origin is Literal


def _plain(text: str) -> str:
    """Remove the double backquotes of literals, and escape what rich would read as a style."""
    from rich.markup import escape

    return escape(text.replace("``", ""))
