"""Compare a run with its baselines on the test data, and write the report."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from rich.console import Console
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.assembly.device import memory_format, move, set_up_process
from srkit.assembly.start import begin_from
from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.evaluation.examiner import Examiner, Restorer, baseline, estimator, network
from srkit.evaluation.judging import judge
from srkit.evaluation.report import write_report
from srkit.evaluation.results import Evaluation
from srkit.evaluation.tables import print_table
from srkit.recipe.recipe import Recipe
from srkit.system.progress import progress_bars
from srkit.weights.checkpoints import load, starting_weights, warm_start


def compare(
    recipe: Recipe,
    registry: Registry,
    run: Path,
    *,
    source: str,
    console: Console,
    out: Path | None = None,
) -> list[Evaluation]:
    """Measure baselines, the untuned start and the trained run; print and write the results.

    Parameters
    ----------
    recipe, registry
        What to measure, with which components.
    run
        Run folder: its best checkpoint is measured.
    source
        Names the recipe in errors.
    console
        Where to show progress and the tables.
    out
        Folder for the report, by default ``evaluation/`` in the run folder; of several scales each
        gets one, in ``x2/`` and so on in there.

    Returns
    -------
    list of Evaluation
        One for each scale, in the order of the recipe.

    Raises
    ------
    SrkitError
        If there are no test data or no checkpoint, or they do not fit the recipe.
    """
    process = set_up_process(recipe, source)
    assembly = assemble(recipe, registry, source, splits=("test",))
    if "test" not in assembly.data:
        raise RecipeError(source, ["data.test: missing; there is nothing to evaluate on"])
    networks = networks_of(assembly, run)
    move(assembly, process.device)
    chosen: Any = memory_format(assembly)
    for module in networks.values():
        module.to(process.device).to(memory_format=chosen).eval()
    return [
        _compare_at(part, networks, process, run, out or run / "evaluation", console)
        for part in assembly.by_scale.values()
    ]


def _compare_at(
    assembly: Assembly,
    networks: Mapping[str, nn.Module],
    process: PartialState,
    run: Path,
    out: Path,
    console: Console,
) -> Evaluation:
    """Measure baselines and networks at one scale; print and write the results."""
    recipe, several = assembly.recipe, len(assembly.by_scale) > 1
    restorers: dict[str, Restorer] = {}
    if assembly.generator is not None:
        restorers = {name: baseline(name) for name in recipe.evaluation.baselines}
    for name, module in networks.items():
        restorers[name] = network(module, assembly)
        if name == recipe.name and recipe.evaluation.self_ensemble:
            # Before the run itself, which stays the last: reports are about that.
            restorers |= {
                f"{name} + self-ensemble": estimator(module, assembly),
                name: restorers.pop(name),
            }
        if name == recipe.name and assembly.uncertainty is not None:
            head = assembly.uncertainty.eval()
            restorers[name] = estimator(module, assembly, head)
    restorers = restorers or {"original": baseline("original")}
    examiner = Examiner(assembly, assembly.data["test"], process)
    with progress_bars(console) as bars:
        task = bars.add_task(f"evaluating {len(restorers)} models", total=None)
        evaluation = examiner.examine(
            restorers,
            title=f"{recipe.name} x{assembly.scale}" if several else recipe.name,
            report=lambda done, total: bars.update(task, completed=done, total=total),
        )
        evaluation = replace(evaluation, classification=judge(examiner))
    if process.is_main_process:
        curves = run / "metrics.jsonl"
        page = write_report(
            evaluation,
            out / f"x{assembly.scale}" if several else out,
            render=(lambda indices: examiner.render(restorers, indices)) if networks else None,
            curves=curves if curves.is_file() else None,
            examples=recipe.evaluation.examples,
        )
        print_table(evaluation, console)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return evaluation


def networks_of(assembly: Assembly, run: Path, *, trained: bool = True) -> dict[str, nn.Module]:
    """The generator untuned (unless others include that), as other runs and this one left it.

    Parameters
    ----------
    assembly
        Its generator becomes the run's, its teachers those that the run trained.
    run
        Run folder.
    trained
        Whether there has to be a checkpoint; otherwise the others will do.
    """
    found = [run / "checkpoints" / f"{name}.safetensors" for name in ("best", "last")]
    path = next((path for path in found if path.is_file()), None)
    if path is None and trained:
        raise WeightsError(f"{run}: holds no checkpoint to evaluate; train first, or set --run")
    groups = {} if path is None else load(path).groups
    for name, teacher in assembly.teachers.items():
        if f"teachers.{name}" in groups:
            module: Any = teacher
            warm_start(module, groups[f"teachers.{name}"], str(path))
    generator: Any = assembly.generator
    if generator is None:
        return {}
    networks: dict[str, nn.Module] = {}
    start, others = assembly.recipe.start, assembly.recipe.evaluation.models
    if start is not None and start.weights not in others.values():
        untuned = deepcopy(generator)
        begin_from(untuned, assembly.recipe)
        networks[f"{Path(start.weights).stem} (untuned)"] = untuned
    for name, weights in others.items():
        networks[name] = deepcopy(generator)
        warm_start(networks[name], starting_weights(weights, generator), weights)
    if path is None:
        return networks
    warm_start(generator, groups.get("ema", groups["generator"]), str(path))
    if assembly.uncertainty is not None:
        if "uncertainty" not in groups:
            raise WeightsError(
                f"{path}: has no head that predicts the variance; train the recipe as it is now"
            )
        warm_start(assembly.uncertainty, groups["uncertainty"], str(path))
    networks[assembly.recipe.name] = generator
    return networks
