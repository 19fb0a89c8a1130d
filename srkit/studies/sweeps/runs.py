"""The variants of a sweep as training runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import SPLITS, assemble, parse
from srkit.components.registry import Registry
from srkit.errors import RecipeError, TrainingError
from srkit.evaluation.evaluator import metric_infos
from srkit.evaluation.overview import on_set
from srkit.models.costs import count_parameters
from srkit.recipe.needs import resolve
from srkit.recipe.recipe import Recipe
from srkit.recipe.resume import refused
from srkit.recipe.trees import below
from srkit.recipe.variants import Variant, change, gather
from srkit.report._metric_info import MetricInfo
from srkit.studies.sweeps.results import Outcome, Sweep, read_outcome
from srkit.system.files import write_file
from srkit.system.processes.children import Job
from srkit.weights.checkpoints import read_state
from srkit.weights.runs import is_run, is_trained

#: Keys that concern the whole sweep; the recipes of its variants do not have them.
SWEEP_KEYS = ("sample", "variants", "repeat", "search")
NOT_YET = "not trained yet"


@dataclass(frozen=True, slots=True)
class SweepSetup:
    """What all variants of a recipe have in common.

    Parameters
    ----------
    base, tree
        The recipe, and the tree that variants change.
    registry
        The available components.
    folder
        Output folder of the sweep.
    source
        Name of the recipe in errors.
    needs
        The run folders of the recipe's needs, which may not be trained yet.
    """

    base: Recipe
    tree: Mapping[str, Any]
    registry: Registry
    folder: Path
    source: str
    needs: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class VariantRun:
    """The training run of a variant.

    Parameters
    ----------
    variant
        The variant.
    recipe
        Its complete recipe.
    metrics
        The metrics of its test images.
    steps
        Number of training steps.
    sweep
        Output folder of the sweep.
    parameters
        Number of weights of the generator.
    """

    variant: Variant
    recipe: Recipe
    metrics: list[MetricInfo]
    steps: int
    sweep: Path
    parameters: int = 0

    @property
    def name(self) -> str:
        """Name of the variant."""
        return self.variant.name

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.sweep / "variants" / self.name

    @property
    def recipe_file(self) -> Path:
        """File of the recipe."""
        return self.sweep / "recipes" / f"{self.name}.yaml"

    @property
    def output(self) -> Path:
        """File of the printed output."""
        return self.sweep / "output" / f"{self.name}.txt"

    @property
    def table(self) -> Path:
        """File of the results; that of the last of several scales."""
        folder, scales = self.folder / "evaluation", self.recipe.scales
        return (folder / f"x{scales[-1]}" if len(scales) > 1 else folder) / "table.json"

    @property
    def page(self) -> Path:
        """Page of the evaluation, which is written last."""
        return self.table.with_name("report.html")

    def text(self) -> str:
        """Return the recipe as YAML."""
        return yaml.safe_dump(self.recipe.dump(), sort_keys=False, allow_unicode=True)

    def finished(self) -> bool:
        """Return whether this recipe, without any change, has been trained and evaluated."""
        return (
            self.table.is_file()
            and self.page.is_file()
            and self.recipe_file.is_file()
            and self.recipe_file.read_bytes() == self.text().encode()
            and is_trained(self.folder, self.recipe)
        )

    def state(self) -> dict[str, Any] | None:
        """Read the state of the last checkpoint; None if there is none."""
        last = self.folder / "checkpoints" / "last.safetensors"
        return read_state(last) if last.is_file() else None

    def validated(self) -> float:
        """Return the best value on the validation images; NaN if there is none."""
        state = self.state()
        best = None if state is None else state["best"]
        return math.nan if best is None or best[0] is None else float(best[0])

    def outcome(self, reason: str) -> Outcome:
        """Read the results, unless there is a reason why there are none."""
        found = read_outcome(self.variant, self.folder, reason, self.validated())
        return replace(found, parameters=self.parameters)

    def job(self) -> Job:
        """Write the recipe, and return the command that trains it or resumes its training."""
        for path in (self.page, self.table):  # of an earlier version of the recipe, perhaps
            path.unlink(missing_ok=True)
        write_file(self.recipe_file, self.text())
        arguments = ["train", str(self.recipe_file), "--out", str(self.folder)]
        if is_run(self.folder):
            arguments.append("--resume")
        return Job(self.name, arguments, self.output, self.output.with_suffix(".lock"))


class RunQueue:
    """The runs of a sweep, and which of them have ended.

    Attributes
    ----------
    runs
        The runs by name.
    reasons
        For each run that has ended, the reason if it failed, otherwise an empty string.
    total
        The number of runs that the sweep will have.
    """

    def __init__(self, setup: SweepSetup, runs: Sequence[VariantRun] = ()) -> None:
        self.setup = setup
        self.runs = {run.name: run for run in runs}
        self.reasons: dict[str, str] = {}
        self.total = len(runs)

    def open(self) -> None:
        """Find the runs that have ended; no other sweep may be running in the folder."""
        self.reasons = {name: "" for name, run in self.runs.items() if run.finished()}

    def pending(self) -> Iterator[VariantRun]:
        """Iterate over the runs to train."""
        yield from [run for name, run in self.runs.items() if name not in self.reasons]

    def end(self, name: str, reason: str) -> None:
        """Record that a run has ended, and why if it failed."""
        self.reasons[name] = reason

    def results(self) -> Sweep:
        """Read the results of all runs."""
        metrics: dict[str, MetricInfo] = {}
        for run in self.runs.values():
            for info in run.metrics:
                metrics.setdefault(info.name, info)
        outcomes = [run.outcome(self.reasons.get(name, NOT_YET)) for name, run in self.runs.items()]
        return Sweep(self.setup.base.name, list(metrics.values()), outcomes, self.setup.base.repeat)


def prepare_runs(variants: Sequence[Variant], setup: SweepSetup) -> list[VariantRun]:
    """Check all variants by building their components.

    Raises
    ------
    RecipeError
        With everything that is wrong with any of them.
    TrainingError
        If the folder contains a variant that was started with settings that cannot be changed.
    """
    runs, problems, changes = [], {}, {}
    for variant in variants:
        try:
            run = _prepare(variant, setup)
        except RecipeError as error:
            problems[variant.name] = error.problems
            continue
        runs.append(run)
        state = run.state()
        changes[run.name] = [] if state is None else refused(state["recipe"], run.recipe)
        problems[variant.name] = []
    if gathered := gather(problems):
        raise RecipeError(setup.source, gathered)
    if changed := gather(changes):
        listed = "\n  ".join(["", *changed])
        raise TrainingError(
            f"{setup.folder}: contains variants of another recipe; choose another --out, or undo "
            f"these changes:{listed}"
        )
    return runs


def _prepare(variant: Variant, setup: SweepSetup) -> VariantRun:
    source, registry = setup.source, setup.registry
    tree, problems = change(setup.tree, variant.changes)
    if problems:
        raise RecipeError(source, problems)
    tree = {key: value for key, value in tree.items() if key not in SWEEP_KEYS}
    tree["name"] = f"{setup.base.name}-{variant.name}"
    recipe = parse(tree, registry, source, splits=SPLITS)
    assembly = assemble(recipe, registry, source, splits=SPLITS)
    compared = "variants are compared by their metrics on the test data"
    problems = [] if assembly.metrics else [f"metrics: missing; {compared}"]
    if "train" not in assembly.data:
        problems.append("data.train: missing; there is nothing to train on")
    if not below(assembly.data, "test"):
        problems.append(f"data.test: missing; {compared}")
    if problems:
        raise RecipeError(source, problems)
    recipe = resolve(assembly.recipe, setup.needs, source).model_copy(update={"needs": {}})
    per_epoch = len(assembly.data["train"]) / recipe.training.batch_size
    steps = recipe.training.duration.in_steps(per_epoch)
    network = assembly.generator  # None if the recipe trains a teacher alone
    parameters = count_parameters(network) if isinstance(network, nn.Module) else 0
    return VariantRun(variant, recipe, _metrics(assembly), steps, setup.folder, parameters)


def _metrics(assembly: Assembly) -> list[MetricInfo]:
    """Return the metrics on each test set, such as ``psnr/set5``, at each scale: ``psnr x2``."""
    names = [place.partition(".")[2] for place in below(assembly.data, "test")]
    several = len(assembly.by_scale) > 1
    return [
        replace(info, name=f"{info.name} x{scale}") if several else info
        for scale, part in assembly.by_scale.items()
        for name in names
        for info in (on_set(each, name) if name else each for each in metric_infos(part))
    ]
