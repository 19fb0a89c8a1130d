"""`srkit eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srkit.cli.options import Overrides, RecipeFile, Sample
from srkit.cli.output import new_console
from srkit.cli.run_folders import run_folder, with_needs


def evaluate(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    run: Annotated[
        Path | None, typer.Option(help="Run folder to evaluate; runs/NAME by default.")
    ] = None,
) -> None:
    """Compare a run with its baselines on the test data: table, pictures, page."""
    from srkit.assembly import read
    from srkit.comparison import compare
    from srkit.registry import Registry

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample, splits=["test"])
    folder = run or run_folder(loaded, sample)
    if loaded.needs:
        loaded = with_needs(loaded, recipe, registry, sample, folder)
    compare(loaded, registry, folder, source=str(recipe), console=new_console())
