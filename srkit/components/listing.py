"""Print the components, their options, and plugins that failed, for `srkit plugins`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from srkit.components.registry import KINDS, Component, Registry
from srkit.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    if kind is not None and name is not None:
        _show_component(registry.get(kind, name), console)
        return
    if kind is None:
        table = _table("name", "summary", "from")
        for each in KINDS:
            table.add_row(f"[bold]{each}[/]")
            _add_rows(table, ((c.name, c.summary, c.source) for c in registry.components(each)))
            table.add_row()
    else:
        table = _table("name", "summary", "options", "from")
        rows = ((c.name, c.summary, _names(c), c.source) for c in registry.components(kind))
        _add_rows(table, rows)
    console.print(table)
    if registry.failures:
        table = _table("plugin", "cannot be used because", "from")
        _add_rows(table, ((f.plugin, f.reason, f.source) for f in registry.failures))
        console.print(table)
    if registry.remarks:
        table = _table("plugin", "remark", "from")
        _add_rows(table, ((f.plugin, f.reason, f.source) for f in registry.remarks))
        console.print(table)
    if any(failure.details for failure in registry.failures):
        console.print("`srkit plugins --json` has the tracebacks.", highlight=False)


def as_json(
    registry: Registry, kind: str | None = None, name: str | None = None
) -> dict[str, Any] | list[dict[str, Any]]:
    """Return components and failures as data for JSON.

    Returns
    -------
    dict or list
        Without `kind`, ``{"components": [...], "failures": [...], "remarks": [...]}``; with `kind`,
        the list of its components; with `kind` and `name`, that component.

    Raises
    ------
    PluginError
        If the kind or name is unknown, or the component cannot be used.
    """
    if kind is not None and name is not None:
        component = registry.get(kind, name)
        further = _variants(component)
        return {**_entry_of(component), **({"variants": further} if further else {})}
    if kind is not None:
        return [_entry(component) for component in registry.components(kind)]
    return {
        "components": [_entry(c) for each in KINDS for c in registry.components(each)],
        "failures": [asdict(failure) for failure in registry.failures],
        "remarks": [asdict(remark) for remark in registry.remarks],
    }


def _entry(component: Component) -> dict[str, Any]:
    """Describe a component; of a broken one, give the error in place of the options."""
    try:
        return _entry_of(component)
    except PluginError as error:
        return {**_origin(component), "error": str(error)}


def _entry_of(component: Component) -> dict[str, Any]:
    return {**_origin(component), "options": [asdict(each) for each in _options(component)]}


def _origin(component: Component) -> dict[str, str]:
    names = ("kind", "name", "summary", "distribution", "version")
    return {name: getattr(component, name) for name in names}


def _options(component: Component) -> list[Option]:
    from srkit.components.options import options, supplied_to  # slow to import

    try:
        return options(component.factory, supplied_to(component.kind))
    except (TypeError, NameError) as error:
        raise PluginError(
            f"{component.title} of {component.source} has parameters that a recipe cannot set: "
            f"{error}"
        ) from error


def _variants(component: Component) -> dict[str, str]:
    """Return the further options of a component by variant, or why they cannot be listed."""
    from srkit.components.options import variants  # slow to import

    try:
        return variants(component.factory)
    except PluginError as error:  # a package is missing
        return {"unknown": str(error)}


def _names(component: Component) -> str:
    """Return the names of a component's options, or why it cannot be used."""
    try:
        return ", ".join(option.name for option in _options(component)) or "none"
    except PluginError as error:
        return str(error)


def _show_component(component: Component, console: Console) -> None:
    options = _options(component)
    heading = f"{component.title} of {component.source}"
    console.print(heading, markup=False, highlight=False, style="bold")
    console.print(component.summary, markup=False, highlight=False)
    console.print()
    table = _table("name", "type", "default", "meaning")
    _add_rows(table, ((o.name, o.type, o.default or "required", o.meaning) for o in options))
    console.print(table if options else "It has no options.")
    if further := _variants(component):
        console.print()
        table = _table("name", "further options and their defaults")
        _add_rows(table, further.items())
        console.print(table)


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        # Names are copied, so they are never broken over lines.
        table.add_column(column, no_wrap=column in ("name", "plugin", "from"))
    return table


def _add_rows(table: Table, rows: Iterable[tuple[str, ...]]) -> None:
    """Add text without the marks of literals; ``dict[str, float]`` is not read as a style."""
    from rich.markup import escape

    for row in rows:
        table.add_row(*(escape(cell.replace("``", "")) for cell in row))
