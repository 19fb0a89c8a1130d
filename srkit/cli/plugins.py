"""`srkit plugins` and `srkit plugin`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srkit.cli.options import Json
from srkit.cli.output import new_console, print_json
from srkit.components.commands import CommandGroup

app = typer.Typer(help="Create plugins.", no_args_is_help=True, cls=CommandGroup)


def plugins(
    kind: Annotated[str | None, typer.Argument(help="datasets, generators, losses, ...")] = None,
    name: Annotated[str | None, typer.Argument(help="Name of a component.")] = None,
    json: Json = False,
) -> None:
    """List the installed components with their options and distributions."""
    from srkit.components import listing
    from srkit.components.registry import Registry

    registry = Registry.discover()
    if json:
        print_json(listing.as_json(registry, kind, name))
    else:
        listing.show(registry, kind, name, new_console())


@app.command(name="new")
def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the distribution.")],
    folder: Annotated[Path, typer.Option(help="Parent of its folder.")] = Path(),
    kinds: Annotated[
        str, typer.Option(help="Kinds of components, separated by commas, or all.")
    ] = "degradations,generators",
) -> None:
    """Create a plugin package with working components and tests."""
    from srkit.components.registry import KINDS
    from srkit.components.scaffold import create_plugin

    wanted = KINDS if kinds == "all" else [kind.strip() for kind in kinds.split(",")]
    project = create_plugin(name, folder, wanted)
    print(f"{project}: try it with: pip install -e '{project}[test]' && pytest {project}")
