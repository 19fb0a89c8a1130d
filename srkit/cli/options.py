"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as training.batch_size=8."),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Run on data that needs no download, in minutes.")
]
Json = Annotated[bool, typer.Option("--json", help="Everything, as JSON.")]
