"""`srkit sweep`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from srkit.cli.options import Overrides, RecipeFile, Sample
from srkit.cli.output import fail, new_console
from srkit.cli.run_folders import needs_of, run_folder
from srkit.cli.train import train_needs


def sweep(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    out: Annotated[
        Path | None, typer.Option(help="Output folder; runs/NAME-sweep or -search by default.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Variants at a time.")] = 1,
) -> None:
    """Train and compare the variants of a recipe, or search its values; can be resumed."""
    from srkit.assembly.build import read
    from srkit.components.registry import Registry
    from srkit.recipe.files import load_tree
    from srkit.recipe.variants import expand
    from srkit.studies.sweeps.measure import Interrupted
    from srkit.studies.sweeps.measure import sweep as train_and_compare
    from srkit.studies.sweeps.runs import RunQueue, SweepSetup, prepare_runs
    from srkit.studies.sweeps.search import TrialQueue

    registry, changes = Registry.discover(), overrides or []
    base = read(recipe, registry, changes, sample=sample)
    kind = "sweep" if base.search is None else "search"
    folder = out or Path("runs") / f"{run_folder(base, sample).name}-{kind}"
    needs = {need: run for need, (_, run) in needs_of(base, registry, sample, folder).items()}
    tree = load_tree(recipe, changes, sample=sample)
    setup = SweepSetup(base, tree, registry, folder, str(recipe), needs)
    if base.search is None:
        queue = RunQueue(setup, prepare_runs(expand(base, str(recipe)), setup))
    else:
        queue = TrialQueue(setup)
    train_needs(base, registry, sample, folder)
    try:
        found = train_and_compare(queue, processes=processes, console=new_console())
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        raise SystemExit(128 + stopped.number) from None
    if found.missing():
        names = ", ".join(outcome.variant.name for outcome in found.missing())
        fail(f"{folder}: failed: {names}; their output is in {folder / 'output'}")
