"""`srkit train` and `srkit finetune`, which train what a recipe needs first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srkit.cli.options import Overrides, RecipeFile, Sample
from srkit.cli.output import new_console
from srkit.cli.run_folders import needs_of, run_folder, with_needs
from srkit.errors import SrkitError

if TYPE_CHECKING:
    from srkit.components.registry import Registry
    from srkit.recipe.recipe import Recipe

Out = Annotated[Path | None, typer.Option(help="Run folder; runs/NAME by default.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]


def train(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    out: Out = None,
    resume: Resume = False,
    processes: Processes = 1,
) -> None:
    """Train what a recipe says, then evaluate it on its test data."""
    _train(recipe, overrides or [], sample, out, resume, processes)


def finetune(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    out: Out = None,
    resume: Resume = False,
    processes: Processes = 1,
) -> None:
    """Train from the weights that the recipe's `start` names, freezing what it freezes."""
    _train(recipe, overrides or [], sample, out, resume, processes, needs_start=True)


def _train(
    path: Path,
    overrides: list[str],
    sample: bool,
    out: Path | None,
    resume: bool,
    processes: int,
    *,
    needs_start: bool = False,
) -> None:
    from accelerate import PartialState

    from srkit.assembly.build import SPLITS, assemble, read
    from srkit.components.registry import Registry
    from srkit.system.processes.launching import launched
    from srkit.training.rehearsal import rehearse

    registry = Registry.discover()
    recipe = read(path, registry, overrides, sample=sample, splits=SPLITS)
    if needs_start and recipe.start is None:
        raise SrkitError(f"{path}: start: missing; finetune needs weights to start from")
    folder = out or run_folder(recipe, sample)
    if recipe.needs:
        if not launched():
            # What is wrong with the recipe is told now, not when its needs have been trained.
            assembly = assemble(recipe, registry, str(path), splits=SPLITS)
            rehearse(assembly, PartialState(cpu=True), str(path))
            train_needs(recipe, registry, sample, folder, processes)
            resume = resume and (folder / "recipe.yaml").is_file()  # a need was stopped, not this
        recipe = with_needs(recipe, path, registry, sample, folder)
    if processes > 1 and not launched():
        command = "finetune" if needs_start else "train"
        _launch(command, path, overrides, sample, folder, resume, processes)
    else:
        _train_here(recipe, registry, path, folder, resume)


def _launch(
    command: str,
    path: Path,
    overrides: list[str],
    sample: bool,
    folder: Path,
    resume: bool,
    processes: int,
) -> None:
    from srkit.system.processes.launching import launch

    options = ["--out", str(folder), "--processes", str(processes)]
    options += [name for name, given in (("--sample", sample), ("--resume", resume)) if given]
    status = launch(processes, [command, str(path), *options, "--", *overrides])
    if status:
        raise SystemExit(status)


def _train_here(recipe: Recipe, registry: Registry, path: Path, folder: Path, resume: bool) -> None:
    from srkit.system.processes.launching import first_process
    from srkit.training.loop import Stopped, train

    console = new_console()
    try:
        checkpoint = train(
            recipe, registry, folder, source=str(path), console=console, resume=resume
        )
    except Stopped as stopped:
        if first_process():
            print(stopped, file=sys.stderr)
        raise SystemExit(128 + stopped.number) from None
    if first_process():
        print(f"trained: {checkpoint}")
    if recipe.data.test is not None:
        from srkit.evaluation.run import compare

        compare(recipe, registry, folder, source=str(path), console=console)


def train_needs(
    recipe: Recipe, registry: Registry, sample: bool, folder: Path, processes: int = 1
) -> None:
    """Train what a recipe needs and is not trained yet; go on with what was stopped."""
    from srkit.weights.runs import is_trained

    for name, (needed, run) in needs_of(recipe, registry, sample, folder).items():
        if is_trained(run, needed):
            print(f"needs.{name}: trained already: {run}")
            continue
        print(f"needs.{name}: training {recipe.needs[name]}")
        begun = (run / "checkpoints" / "last.safetensors").is_file()
        _train(Path(recipe.needs[name]), [], sample, run, begun, processes)
