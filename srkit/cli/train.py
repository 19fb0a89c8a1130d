"""`srkit train` and `srkit finetune`, which first train the recipes that a recipe needs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srkit.cli.imports import heavy_imports
from srkit.cli.options import Overrides, RecipeFile, Sample
from srkit.cli.output import new_console
from srkit.cli.run_folders import needs_of, run_folder, with_needs
from srkit.errors import SrkitError

if TYPE_CHECKING:
    from srkit.components.registry import Registry
    from srkit.recipe.recipe import Recipe

#: Help of the command that refuses recipes without starting weights.
FINETUNE = "Train from the weights that `start` of a recipe names, freezing the stages it freezes."


def train(
    context: typer.Context,
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME by default.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    changed: Annotated[
        bool,
        typer.Option("--allow-changed-data", help="Resume although files of the data changed."),
    ] = False,
    run: Annotated[
        str | None,
        typer.Option(
            "--from", help="Start a new run from all networks of this one, averaged weights too."
        ),
    ] = None,
    optimisers: Annotated[
        bool, typer.Option("--with-optimisers", help="Take over their optimisers, too.")
    ] = False,
) -> None:
    """Train a recipe, then evaluate it on its test data."""
    command = str(context.info_name)
    changes = [*(overrides or []), *_start_overrides(run, optimisers)]
    _train(command, recipe, changes, sample, out, resume, processes, changed)


def _start_overrides(run: str | None, optimisers: bool) -> list[str]:
    """Return the keys of a recipe by which it starts from a run."""
    if run is None:
        if optimisers:
            raise SrkitError("--with-optimisers: needs --from, which names the run they are from")
        return []
    take = "all" if optimisers else "networks"
    return [f"start.weights={json.dumps(run)}", f"start.take={take}"]


def _train(
    command: str,
    path: Path,
    overrides: list[str],
    sample: bool,
    out: Path | None,
    resume: bool,
    processes: int,
    changed: bool = False,
) -> None:
    with heavy_imports():
        from srkit.assembly.build import SPLITS, read
    from srkit.components.registry import Registry
    from srkit.system.processes.children import launch, launched
    from srkit.weights.runs import is_run

    registry = Registry.discover()
    recipe = read(path, registry, overrides, sample=sample, splits=SPLITS)
    if command == "finetune" and recipe.start is None:
        raise SrkitError(f"{path}: start: missing; finetune needs weights to start from")
    folder = out or run_folder(recipe, sample)
    if recipe.needs and not launched():
        _check(recipe, registry, path)
        train_needs(recipe, registry, sample, folder, processes)
        resume = resume and is_run(folder)  # perhaps only a need was stopped
    if processes > 1 and not launched():
        options = ["--out", str(folder), "--processes", str(processes)]
        flags = {"--sample": sample, "--resume": resume, "--allow-changed-data": changed}
        options += [name for name, given in flags.items() if given]
        if status := launch(processes, [command, str(path), *options, "--", *overrides]):
            raise SystemExit(status)
        return
    if recipe.needs:
        recipe = with_needs(recipe, path, registry, sample, folder)
    _train_here(recipe, registry, path, folder, resume, changed)


def _check(recipe: Recipe, registry: Registry, path: Path) -> None:
    """Report what is wrong with a recipe before the runs that it needs are trained.

    Some components need these runs to be built, so that the recipe is assembled again afterwards.
    """
    from srkit.assembly.build import SPLITS, assemble
    from srkit.assembly.device import move, set_up_process
    from srkit.training.rehearsal import rehearse

    process = set_up_process(recipe, str(path))
    assembly = assemble(recipe, registry, str(path), splits=SPLITS)
    move(assembly, process.device)
    rehearse(assembly, process, str(path))


def _train_here(
    recipe: Recipe, registry: Registry, path: Path, folder: Path, resume: bool, changed: bool
) -> None:
    from srkit.assembly.build import SPLITS, assemble
    from srkit.system.processes.children import first_process
    from srkit.training.loop import Stopped, train

    console, source = new_console(), str(path)
    try:
        # The test data are built, too, so that missing ones are reported now, not after hours.
        # No name refers to the assembly, so that its memory is free for the evaluation.
        checkpoint = train(
            assemble(recipe, registry, source, splits=SPLITS),
            folder,
            source=source,
            console=console,
            resume=resume,
            allow_changed_data=changed,
        )
    except Stopped as stopped:
        if first_process():
            print(stopped, file=sys.stderr)
        raise SystemExit(128 + stopped.number) from None
    if first_process():
        print(f"trained: {checkpoint}")
    if recipe.data.test is not None:
        from srkit.evaluation.run import evaluate

        evaluate(recipe, registry, folder, source=source, console=console)


def _check_needs(recipe: Recipe, registry: Registry, sample: bool, folder: Path) -> None:
    """Build what the missing runs need, so that what the last one lacks is reported at once."""
    from srkit.assembly.build import SPLITS, assemble
    from srkit.weights.runs import is_trained

    for name, (needed, run) in needs_of(recipe, registry, sample, folder).items():
        if not is_trained(run, needed):
            assemble(needed, registry, recipe.needs[name], splits=SPLITS, download=False)
            _check_needs(needed, registry, sample, folder)


def train_needs(
    recipe: Recipe, registry: Registry, sample: bool, folder: Path, processes: int = 1
) -> None:
    """Train the runs that a recipe needs and that are not finished; resume those that stopped."""
    from srkit.weights.runs import is_run, is_trained

    _check_needs(recipe, registry, sample, folder)
    for name, (needed, run) in needs_of(recipe, registry, sample, folder).items():
        if is_trained(run, needed):
            print(f"needs.{name}: trained already: {run}")
            continue
        print(f"needs.{name}: training {recipe.needs[name]}")
        _train("train", Path(recipe.needs[name]), [], sample, run, is_run(run), processes)
