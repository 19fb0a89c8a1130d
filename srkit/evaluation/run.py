"""Evaluate a run and its baselines on the test data, and write the report."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from rich.console import Console
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.assembly.device import memory_format, move, precision_on, set_up_process
from srkit.assembly.start import load_starting_weights
from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.evaluation.classifier import classify
from srkit.evaluation.evaluator import Evaluator
from srkit.evaluation.given_psf import observe_by
from srkit.evaluation.overview import print_overview, write_overview
from srkit.evaluation.rendering import render
from srkit.evaluation.report import write_report
from srkit.evaluation.restorers import Restorer, baseline, baselines, estimator, network
from srkit.evaluation.results import Evaluation
from srkit.evaluation.tables import print_table
from srkit.recipe.recipe import Recipe
from srkit.recipe.trees import below
from srkit.report._summaries import read_validation
from srkit.system.precision import warn_of_precision
from srkit.system.progress import progress_bars
from srkit.weights.checkpoints import changed_plugins, load
from srkit.weights.runs import overlaps_of_run
from srkit.weights.transfer import starting_weights, warm_start


def evaluate(
    recipe: Recipe,
    registry: Registry,
    run: Path,
    *,
    source: str,
    console: Console,
    out: Path | None = None,
    psf: str | None = None,
) -> list[Evaluation]:
    """Measure baselines, the untuned start and the trained run; print and write the results.

    Parameters
    ----------
    recipe, registry
        The recipe, and the components that it names.
    run
        Run folder; its best checkpoint is measured.
    source
        Name of the recipe in error messages.
    console
        Where to show progress and the tables.
    out
        Folder of the report, by default ``evaluation/`` in the run folder. If there are several
        scales, each gets a folder in it, ``x2/`` and so on; so does each of several test sets.
    psf
        The PSF of LR with which metrics observe SR; by default that of the recipe.

    Returns
    -------
    list of Evaluation
        One for each test set at each scale, in the order of the recipe.

    Raises
    ------
    SrkitError
        If there are no test data or no checkpoint, or they do not match the recipe.
    """
    process, training = set_up_process(recipe, source), recipe.training
    _checkpoint_of(run)  # before anything is downloaded
    assembly = assemble(recipe, registry, source, splits=("test",))
    if not assembly.data:
        raise RecipeError(source, ["data.test: missing; there is nothing to evaluate on"])
    if psf is not None:
        for part in assembly.by_scale.values():
            observe_by(part, psf, registry)
    networks = load_networks(assembly, run)
    move(assembly, process.device)
    chosen: Any = memory_format(assembly, process.device)
    for module in networks.values():
        module.to(process.device).to(memory_format=chosen).eval()
    if process.is_main_process:
        for line in (*assembly.remarks, *warn_of_precision(training.precision, process.device)):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    out = out or run / "evaluation"
    return [
        evaluation
        for part in assembly.by_scale.values()
        for evaluation in _evaluate_scale(part, networks, process, run, out, console)
    ]


def _evaluate_scale(
    assembly: Assembly,
    networks: Mapping[str, nn.Module],
    process: PartialState,
    run: Path,
    out: Path,
    console: Console,
) -> list[Evaluation]:
    """Measure baselines and networks at one scale; print and write the results."""
    title, several = assembly.recipe.name, len(assembly.by_scale) > 1
    if several:
        title, out = f"{title} x{assembly.scale}", out / f"x{assembly.scale}"
    restorers = _restorers(assembly, networks)
    curves = run / "metrics.jsonl"
    about_run: dict[str, Any] = {
        "curves": curves if curves.is_file() else None,
        "validation": read_validation(run),
    }
    found: dict[str, Evaluation] = {}
    for place, dataset in below(assembly.data, "test").items():
        name = place.partition(".")[2]  # empty if there is one set only
        evaluator = Evaluator(assembly, dataset, process)
        own_title = f"{title}: {name}" if name else title
        found[name] = _evaluate_set(evaluator, restorers, own_title, run, console)
        if process.is_main_process:
            page = write_report(
                found[name],
                out / name,
                render=partial(render, evaluator, restorers) if networks else None,
                examples=assembly.recipe.evaluation.examples,
                **({} if name else about_run),
            )
    if process.is_main_process:
        if "" in found:
            print_table(found[""], console)
        else:
            for each in found.values():
                if each.classification is not None or each.calibrations():
                    print_table(each, console)  # which shows more than means
            page = write_overview(title, found, out, **about_run)
            print_overview(title, found, console)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return list(found.values())


def _evaluate_set(
    evaluator: Evaluator,
    restorers: Mapping[str, Restorer],
    title: str,
    run: Path,
    console: Console,
) -> Evaluation:
    """Measure baselines and networks on one test set."""
    recipe, device = evaluator.assembly.recipe, evaluator.process.device
    with progress_bars(console) as bars:
        task = bars.add_task(f"evaluating {len(restorers)} models", total=None)
        evaluation = evaluator.evaluate(
            restorers,
            title=title,
            report=lambda done, total: bars.update(task, completed=done, total=total),
        )
        return replace(
            evaluation,
            classification=classify(evaluator),
            notes=[
                *([f"{recipe.description}."] if recipe.description else []),
                *evaluation.notes,
                *(f"Data of the run: {line}." for line in overlaps_of_run(run)),
                _note_on_precision(recipe, device),
            ],
        )


def _note_on_precision(recipe: Recipe, device: torch.device) -> str:
    precision, reason = precision_on(recipe, device)
    return f"The networks ran in {precision} on {device.type}: {reason}."


def _restorers(assembly: Assembly, networks: Mapping[str, nn.Module]) -> dict[str, Restorer]:
    """Return the baselines and the networks; the last is that of the run."""
    recipe = assembly.recipe
    if assembly.generator is None:
        return {"original": baseline("original")}
    restorers = baselines(assembly)
    for name, module in networks.items():
        if name == recipe.name and recipe.evaluation.self_ensemble:
            restorers[f"{name} + self-ensemble"] = estimator(module, assembly)
        if name == recipe.name and assembly.uncertainty is not None:
            restorers[name] = estimator(module, assembly, assembly.uncertainty.eval())
        else:
            restorers[name] = network(module, assembly)
    return restorers


def _checkpoint_of(run: Path, *, required: bool = True) -> Path | None:
    """Return the best checkpoint of a run, else its last."""
    found = [run / "checkpoints" / f"{name}.safetensors" for name in ("best", "last")]
    path = next((path for path in found if path.is_file()), None)
    if path is None and required:
        raise WeightsError(
            f"{run}: no checkpoint to evaluate; train the recipe first, or set --run"
        )
    return path


def load_networks(assembly: Assembly, run: Path, *, trained: bool = True) -> dict[str, nn.Module]:
    """Load the networks to compare, by name.

    These are the generator with its starting weights (unless ``evaluation.models`` includes them),
    with the weights of ``evaluation.models``, and with those of the run.

    Parameters
    ----------
    assembly
        Its generator and the teachers that the run trained get the weights of the run.
    run
        Run folder.
    trained
        Whether a checkpoint is required; otherwise a run without one is omitted.
    """
    path = _checkpoint_of(run, required=trained)
    checkpoint = None if path is None else load(path)
    groups = {} if checkpoint is None else checkpoint.groups
    if checkpoint is not None:
        assembly.remarks += changed_plugins(str(path), checkpoint.state, assembly.distributions)
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
        load_starting_weights(untuned, assembly.recipe)
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
                f"{path}: was trained without `uncertainty`; train this recipe again, or remove "
                "`uncertainty`"
            )
        warm_start(assembly.uncertainty, groups["uncertainty"], str(path))
    networks[assembly.recipe.name] = generator
    return networks
