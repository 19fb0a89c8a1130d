"""`srkit export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Run folder, checkpoint, weight file or published name."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .safetensors, .onnx or .pt2 (torch) file.")
    ],
    file_format: Annotated[
        Literal["safetensors", "onnx", "torch"] | None,
        typer.Option("--format", help="What to write; the ending of the file by default."),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Which, of a model of several scales.")
    ] = None,
) -> None:
    """Write a model into one file: for srkit, or as a graph that runs without it."""
    from srkit.components.registry import Registry
    from srkit.models.export import export as write

    path = write(model, out, Registry.discover(), file_format=file_format, scale=scale)
    print(f"{path}: {path.stat().st_size / 1e6:.3g} MB")
