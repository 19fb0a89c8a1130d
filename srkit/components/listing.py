"""Print the components, their options, and plugins that failed, for `srkit plugins`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from srkit.components.registry import KINDS, Component, Failure, Registry
from srkit.errors import PluginError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from srkit.components.options import Option


def show(registry: Registry, kind: str | None, name: str | None, console: Console) -> None:
    """Print an overview, the components of a kind, or one component.

    The overview does not import components, so that it is fast.

    Raises
    ------
    PluginError
        If the kind or name is unknown, or the component cannot be used.
    """
    if kind is None:
        console.print(_overview(registry))
    elif name is None:
        console.print(_kind(registry.components(kind)))
    else:
        _show_component(registry.get(kind, name), console)
    if name is None and registry.failures:
        console.print(_failures(registry.failures))
        if any(failure.details for failure in registry.failures):
            console.print("`srkit plugins --json` has the tracebacks.", highlight=False)


def as_json(
    registry: Registry, kind: str | None = None, name: str | None = None
) -> dict[str, Any] | list[dict[str, Any]]:
    """Return components and failures as data for JSON.

    Returns
    -------
    dict or list
        Without `kind`, ``{"components": [...], "failures": [...]}``; with `kind`, the list of its
        components; with `kind` and `name`, that component.

    Raises
    ------
    PluginError
        If the kind or name is unknown, or the component cannot be used.
    """
    if kind is not None and name is not None:
        component = registry.get(kind, name)
        return {**_origin(component), "options": _options(component)}
    if kind is not None:
        return [_entry(component) for component in registry.components(kind)]
    return {
        "components": [_entry(c) for each in KINDS for c in registry.components(each)],
        "failures": [asdict(failure) for failure in registry.failures],
    }


def _entry(component: Component) -> dict[str, Any]:
    """Describe a component; of a broken one, give the error in place of the options."""
    try:
        return {**_origin(component), "options": _options(component)}
    except PluginError as error:
        return {**_origin(component), "error": str(error)}


def _origin(component: Component) -> dict[str, str]:
    return {
        "kind": component.kind,
        "name": component.name,
        "summary": component.summary,
        "distribution": component.distribution,
        "version": component.version,
    }


def _options(component: Component) -> list[dict[str, str | None]]:
    return [asdict(option) for option in _described(component)]


def _described(component: Component) -> list[Option]:
    from srkit.components.options import options, supplied_to  # slow to import

    try:
        return options(component.factory, supplied_to(component.kind))
    except (TypeError, NameError) as error:
        raise PluginError(
            f"{component.title} of {component.source} has a signature that a recipe cannot set: "
            f"{error}"
        ) from error


def _overview(registry: Registry) -> Table:
    table = _table("name", "summary", "from")
    for kind in KINDS:
        table.add_row(f"[bold]{kind}[/]")
        for component in registry.components(kind):
            table.add_row(*_plain(component.name, component.summary, component.source))
        table.add_row()
    return table


def _kind(components: list[Component]) -> Table:
    table = _table("name", "summary", "options", "from")
    for component in components:
        names = _option_names(component)
        table.add_row(*_plain(component.name, component.summary, names, component.source))
    return table


def _option_names(component: Component) -> str:
    entry = _entry(component)
    if "error" in entry:
        return str(entry["error"])
    return ", ".join(option["name"] for option in entry["options"]) or "none"


def _show_component(component: Component, console: Console) -> None:
    found = _described(component)
    heading = f"{component.title} of {component.source}"
    console.print(heading, markup=False, highlight=False, style="bold")
    console.print(component.summary, markup=False, highlight=False)
    console.print()
    console.print(_options_table(found) if found else "It has no options.")


def _options_table(found: list[Option]) -> Table:
    table = _table("name", "type", "default", "meaning")
    for option in found:
        default = "required" if option.default is None else option.default
        table.add_row(*_plain(option.name, option.type, default, option.meaning))
    return table


def _failures(failures: list[Failure]) -> Table:
    table = _table("plugin", "cannot be used because", "from")
    for failure in failures:
        table.add_row(*_plain(failure.plugin, failure.reason, failure.source))
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        # Names are copied, so they are never broken over lines.
        table.add_column(column, no_wrap=column in ("name", "plugin", "from"))
    return table


def _plain(*cells: str) -> list[str]:
    """Remove the marks of literals; escape ``dict[str, float]``, which looks like a style."""
    from rich.markup import escape

    return [escape(cell.replace("``", "")) for cell in cells]
