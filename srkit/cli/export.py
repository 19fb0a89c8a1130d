"""`srkit export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from srkit.cli.options import Model, ModelScale


def export(
    model: Model,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .safetensors, .onnx or .pt2 (torch) file.")
    ],
    file_format: Annotated[
        Literal["safetensors", "onnx", "torch"] | None,
        typer.Option("--format", help="File format; by default that of the file extension."),
    ] = None,
    scale: ModelScale = None,
) -> None:
    """Write a model to one file: for srkit, or as a graph that runs without srkit."""
    from srkit.components.registry import Registry
    from srkit.models.export import export as write

    path = write(model, out, Registry.discover(), file_format=file_format, scale=scale)
    print(f"{path}: {path.stat().st_size / 1e6:.3g} MB")
