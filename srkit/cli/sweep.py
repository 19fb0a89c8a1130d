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
        Path | None, typer.Option(help="Folder; runs/NAME-sweep or -search by default.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Variants at a time.")] = 1,
) -> None:
    """Train and compare the variants of a recipe, or search its numbers; goes on if stopped."""
    from srkit.assembly.build import read
    from srkit.components.registry import Registry
    from srkit.recipe.files import load_tree
    from srkit.recipe.variants import expand
    from srkit.studies.sweeps.measure import Interrupted
    from srkit.studies.sweeps.measure import sweep as train_and_compare
    from srkit.studies.sweeps.search import plan_search, search
    from srkit.studies.sweeps.tasks import Setting, plan

    registry, changes = Registry.discover(), overrides or []
    base = read(recipe, registry, changes, sample=sample)
    kind = "sweep" if base.search is None else "search"
    folder = out or Path("runs") / f"{run_folder(base, sample).name}-{kind}"
    needs = {need: run for need, (_, run) in needs_of(base, registry, sample, folder).items()}
    tree = load_tree(recipe, changes, sample=sample)
    setting = Setting(base, tree, registry, folder, str(recipe), needs)
    if base.search is None:
        tasks = plan(expand(base, str(recipe)), setting)
    else:
        plan_search(setting)
    train_needs(base, registry, sample, folder)
    try:
        if base.search is None:
            found = train_and_compare(tasks, setting, processes=processes, console=new_console())
        else:
            found = search(setting, processes=processes, console=new_console())
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        raise SystemExit(128 + stopped.number) from None
    if found.missing():
        names = ", ".join(outcome.variant.name for outcome in found.missing())
        fail(f"{folder}: failed: {names}; what they printed is in {folder / 'output'}")
