"""`srkit models`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from srkit.cli.options import Json, Overwrite
from srkit.cli.output import fail, new_console, print_json
from srkit.components.commands import CommandGroup
from srkit.errors import SrkitError

app = typer.Typer(help="Show and interpolate models.", no_args_is_help=True, cls=CommandGroup)


@app.command(name="show")
def show_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A generator, a run folder, a checkpoint, a weight file or a published name.",
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of a generator."),
    ] = None,
    scale: Annotated[int | None, typer.Option(min=1, help="Scale of SR.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Channels of a generator.")] = None,
    size: Annotated[
        str,
        typer.Option(metavar="HEIGHTxWIDTH", help="Size of LR for which the costs are computed."),
    ] = "64x64",
    depth: Annotated[int, typer.Option(min=1, help="Levels of nested blocks.")] = 2,
    graph: Annotated[
        Path | None, typer.Option(help="Draw the stages to a .png, .svg or .pdf file.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Show layers, parameters, multiply-adds and receptive field of a model."""
    from srkit.components.registry import Registry
    from srkit.models.description import describe, print_description
    from srkit.models.open import fresh_model, open_model
    from srkit.system.folders import check_replaceable

    if graph is not None:
        check_replaceable(graph, overwrite=overwrite)

    registry = Registry.discover()
    if model in registry.names("generators"):
        found = fresh_model(model, registry, options or [], scale=scale, channels=channels)
    elif options or channels:
        fail(f"'{model}' is not a generator; only generators have options and channels")
    else:
        found = open_model(model, registry, scale=scale)
    description = describe(found, _size(size), depth)
    if json:
        print_json(description)
    else:
        print_description(description, new_console())
    if graph is not None:
        from srkit.models.data_flow import Stage
        from srkit.models.diagram import draw_flow

        stages = [Stage(**stage) for stage in description["stages"]]
        draw_flow(stages, f"{found.name}, scale {found.scale}", graph)
        print(f"graph: {graph}", file=sys.stderr)


@app.command(name="interpolate")
def interpolate_models(
    first: Annotated[str, typer.Argument(help="A run folder, a checkpoint or a weight file.")],
    second: Annotated[str, typer.Argument(help="Another one with the same architecture.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A .safetensors file.")],
    weight: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of the second; 0 is the first alone.")
    ] = 0.5,
    overwrite: Overwrite = False,
) -> None:
    """Interpolate the weights of two networks: (1 - weight) * first + weight * second."""
    from srkit.components.registry import Registry
    from srkit.models.weight_interpolation import interpolate_weights
    from srkit.system.folders import check_replaceable

    check_replaceable(out, overwrite=overwrite)
    interpolate_weights(first, second, weight, out, Registry.discover())
    print(f"{out}: {1 - weight:g} of {first} and {weight:g} of {second}")


def _size(text: str) -> tuple[int, int]:
    height, times, width = text.partition("x")
    if not (times and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise SrkitError(f"--size: got '{text}'; expected HEIGHTxWIDTH, such as 64x64")
    return int(height), int(width)
