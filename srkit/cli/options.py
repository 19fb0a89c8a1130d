"""Arguments and options of several commands."""

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
    bool, typer.Option("--sample", help="Run on a few data that need no download, in minutes.")
]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]
