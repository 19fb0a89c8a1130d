"""`srkit hub`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srkit.cli.options import Model, ModelScale
from srkit.cli.output import fail
from srkit.components.commands import CommandGroup

app = typer.Typer(
    help="Share models on the Hugging Face hub.", no_args_is_help=True, cls=CommandGroup
)

Licence = Annotated[
    str | None, typer.Option(help="Licence of the weights: an SPDX identifier, such as apache-2.0.")
]


@app.command(name="card")
def write_card(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder.")],
    repository: Annotated[
        str | None,
        typer.Option("--for", metavar="OWNER/NAME", help="Its future repository on the hub."),
    ] = None,
    licence: Licence = None,
    scale: ModelScale = None,
) -> None:
    """Write the folder that `push` uploads, for editing: weights, model card, preview."""
    from srkit.components.registry import Registry
    from srkit.models.card import CARD, write_folder

    write_folder(
        model, out, Registry.discover(), repository=repository, licence=licence, scale=scale
    )
    print(f"{out / CARD}: {', '.join(sorted(path.name for path in out.iterdir()))}")


@app.command()
def push(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Run folder, checkpoint, weight file, published name, or a folder from `card`.",
        ),
    ],
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Repository; created if it does not exist.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    licence: Licence = None,
    scale: ModelScale = None,
) -> None:
    """Upload a model with its card to the Hugging Face hub."""
    from tempfile import TemporaryDirectory

    from srkit.components.registry import Registry
    from srkit.models.card import CARD, write_folder
    from srkit.weights.hub import PREFIX, WEIGHTS, upload

    prepared = Path(model)
    if (prepared / WEIGHTS).is_file():
        if licence or scale:
            fail(f"{model}: already written; edit its {CARD}, or push the model itself")
        address = upload(prepared, repository, private=private)
    else:
        with TemporaryDirectory() as place:
            folder = Path(place) / "model"
            write_folder(
                model,
                folder,
                Registry.discover(),
                repository=repository,
                licence=licence,
                scale=scale,
            )
            address = upload(folder, repository, private=private)
    print(f"{address}: srkit upscale INPUT -m {PREFIX}{repository}")
