"""Arguments and options of several commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

RecipeFile = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="YAML file, or a name of `srkit recipe list`.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as training.batch_size=8."),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Run on a few data that need no download, in minutes.")
]
ZeroPoint = Annotated[
    float | None,
    typer.Option(help="AB magnitude of one unit of the values, if the file does not say."),
]
SelfEnsemble = Annotated[
    bool, typer.Option("--self-ensemble", help="Average over eight flips and rotations.")
]
ImagePrecision = Annotated[
    Literal["auto", "bf16", "fp32"],
    typer.Option(help="auto: for 8-bit images what the device computes fastest, else fp32."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that srkit did not write.")
]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]
Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Run folder, checkpoint, weight file or published name."),
]
ModelScale = Annotated[
    int | None, typer.Option(min=1, help="The scale, for a model with several scales.")
]
