"""From the variants of a recipe to runs that can be trained, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import SPLITS, assemble, parse
from srkit.components.registry import Registry
from srkit.errors import RecipeError, TrainingError
from srkit.evaluation.evaluator import metric_infos
from srkit.recipe.needs import resolve
from srkit.recipe.recipe import Recipe
from srkit.recipe.resume import changed_since
from srkit.recipe.variants import Variant, change, gather
from srkit.report.metric_info import MetricInfo
from srkit.system.files import write_file
from srkit.system.processes.children import Job
from srkit.weights.checkpoints import read_state

#: What is about the whole sweep: a variant's own recipe does without.
NOT_ITS_OWN = ("sample", "variants", "repeat", "search")


@dataclass(frozen=True, slots=True)
class Setting:
    """What all variants of a recipe share.

    Parameters
    ----------
    base, tree
        The recipe, and the tree that variants change.
    registry
        Where components come from.
    folder
        The folder of the whole sweep.
    source
        Names the recipe in errors.
    needs
        The run folders of what the recipe needs; they need not be trained yet.
    """

    base: Recipe
    tree: Mapping[str, Any]
    registry: Registry
    folder: Path
    source: str
    needs: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Task:
    """A variant that is ready to be trained.

    Parameters
    ----------
    variant
        Which one.
    recipe
        Its recipe, complete.
    metrics
        What is measured on its test images.
    steps
        Steps of its training.
    folder
        The sweep's folder.
    """

    variant: Variant
    recipe: Recipe
    metrics: list[MetricInfo]
    steps: int
    folder: Path

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.variant.name

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "variants" / self.name

    @property
    def recipe_file(self) -> Path:
        """The recipe that is trained."""
        return self.folder / "recipes" / f"{self.name}.yaml"

    @property
    def output(self) -> Path:
        """What the training printed."""
        return self.folder / "output" / f"{self.name}.txt"

    @property
    def last(self) -> Path:
        """The last checkpoint."""
        return self.run / "checkpoints" / "last.safetensors"

    @property
    def table(self) -> Path:
        """The numbers on the test images, written last of all: of several scales, the last."""
        folder, scales = self.run / "evaluation", self.recipe.scales
        return (folder / f"x{scales[-1]}" if len(scales) > 1 else folder) / "table.json"

    def text(self) -> str:
        """Write the recipe as YAML."""
        return yaml.safe_dump(self.recipe.dump(), sort_keys=False, allow_unicode=True)

    def finished(self) -> bool:
        """Tell whether this very recipe was trained to its end and evaluated."""
        if not (self.table.is_file() and self.last.is_file() and self.recipe_file.is_file()):
            return False
        state = read_state(self.last)
        trained = state is not None and state["finished"]
        return trained and self.recipe_file.read_text("utf-8") == self.text()

    def changed(self) -> list[str]:
        """Tell what a run in the folder was started with that this recipe has otherwise."""
        state = read_state(self.last) if self.last.is_file() else None
        return [] if state is None else changed_since(state["recipe"], self.recipe)

    def job(self) -> Job:
        """Write the recipe, and give the command that trains it or goes on."""
        self.table.unlink(missing_ok=True)  # it is about what was trained before
        write_file(self.recipe_file, self.text())
        arguments = ["train", str(self.recipe_file), "--out", str(self.run)]
        begun = (self.run / "recipe.yaml").is_file()
        arguments += ["--resume"] if begun else []
        return Job(self.name, arguments, self.output, self.output.with_suffix(".lock"))


def plan(variants: Sequence[Variant], setting: Setting) -> list[Task]:
    """Check all variants by building everything in them.

    Raises
    ------
    RecipeError
        With everything that is wrong with any of them.
    TrainingError
        If the folder holds a variant that was begun with what cannot be changed since.
    """
    tasks, problems = [], {}
    for variant in variants:
        try:
            tasks.append(_task(variant, setting))
            problems[variant.name] = list[str]()
        except RecipeError as error:
            problems[variant.name] = error.problems
    if gathered := gather(problems):
        raise RecipeError(setting.source, gathered)
    if changed := gather({task.name: task.changed() for task in tasks}):
        told = "\n  ".join(["", *changed])
        raise TrainingError(
            f"{setting.folder}: holds variants of another recipe; choose another --out, or undo "
            f"this:{told}"
        )
    return tasks


def _task(variant: Variant, setting: Setting) -> Task:
    source, registry = setting.source, setting.registry
    tree, problems = change(setting.tree, variant.changes)
    if problems:
        raise RecipeError(source, problems)
    tree = {key: value for key, value in tree.items() if key not in NOT_ITS_OWN}
    tree["name"] = f"{setting.base.name}-{variant.name}"
    recipe = parse(tree, registry, source, splits=SPLITS)
    assembly = assemble(recipe, registry, source, splits=SPLITS)
    if problems := _incomparable(assembly):
        raise RecipeError(source, problems)
    recipe = resolve(assembly.recipe, setting.needs, source).model_copy(update={"needs": {}})
    per_epoch = len(assembly.data["train"]) / recipe.training.batch_size
    steps = recipe.training.duration.in_steps(per_epoch)
    return Task(variant, recipe, _metrics(assembly), steps, setting.folder)


def _metrics(assembly: Assembly) -> list[MetricInfo]:
    """List what is measured; of several scales, each metric at each, as ``psnr x2``."""
    if len(assembly.by_scale) == 1:
        return metric_infos(assembly)
    return [
        replace(info, name=f"{info.name} x{scale}")
        for scale, part in assembly.by_scale.items()
        for info in metric_infos(part)
    ]


def _incomparable(assembly: Assembly) -> list[str]:
    """Tell of what a variant lacks to be compared with others."""
    compared = "variants are compared by their metrics on the test data"
    problems = [] if assembly.metrics else [f"metrics: missing; {compared}"]
    if "train" not in assembly.data:
        problems.append("data.train: missing; there is nothing to train on")
    if "test" not in assembly.data:
        problems.append(f"data.test: missing; {compared}")
    return problems
