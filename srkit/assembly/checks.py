"""Checks of a recipe that need its components."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srkit.assembly.assembly import Assembly
from srkit.data.scales import list_scales
from srkit.data.truth import TRAINABLE, task_of, tasks_of
from srkit.errors import nearest
from srkit.interfaces import (
    TeacherLoss,
    TeacherMetric,
    VarianceLoss,
)
from srkit.recipe.needs import references, unknown
from srkit.recipe.parts import LossSpec, MetricSpec, Spec
from srkit.recipe.recipe import Recipe
from srkit.weights import hub
from srkit.weights.checkpoints import checkpoint_of, read_state


def cross_check(recipe: Recipe) -> list[str]:
    """What the schema alone cannot tell: names that refer to each other."""
    problems = unknown(recipe)
    if recipe.best is not None and recipe.best not in recipe.metrics:
        hint = nearest(recipe.best, recipe.metrics)
        problems.append(f"best: '{recipe.best}' is no metric of this recipe; {hint}")
    for kind in ("losses", "metrics"):
        entries: Mapping[str, LossSpec | MetricSpec] = getattr(recipe, kind)
        for name, spec in entries.items():
            if spec.teacher is not None and spec.teacher not in recipe.teachers:
                problems.append(
                    f"{kind}.{name}.teacher: '{spec.teacher}' is no teacher of this recipe; "
                    f"{nearest(spec.teacher, recipe.teachers)}"
                )
    for split in ("validation", "test"):
        source = getattr(recipe.data, split)
        if source is not None and source.mix is not None:
            problems.append(f"data.{split}.mix: only training data are mixed; remove it")
    if recipe.training.patience is not None and recipe.data.validation is None:
        problems.append("training.patience: needs data.validation, which shows what is better")
    trainable = any(teacher.trainable for teacher in recipe.teachers.values())
    if recipe.generator is None and not trainable:
        problems.append("generator: missing; a recipe trains a generator or a trainable teacher")
    if recipe.generator is None and (recipe.start or recipe.discriminator or recipe.losses):
        problems.append("generator: missing; start, losses and discriminator are about it")
    if recipe.generator is not None and not recipe.losses:
        problems.append("losses: missing; a generator needs at least one")
    return problems


def check_teachers(assembly: Assembly) -> list[str]:
    """What the built losses and metrics tell of the teachers that they need."""
    recipe = assembly.recipe
    problems = []
    kinds: list[tuple[str, Mapping[str, Any], type, Mapping[str, Spec]]] = [
        ("losses", assembly.losses, TeacherLoss, recipe.losses),
        ("metrics", assembly.metrics, TeacherMetric, recipe.metrics),
    ]
    for kind, components, about_teachers, specs in kinds:
        for name, component in components.items():
            named = getattr(specs[name], "teacher", None)
            if not isinstance(component, about_teachers):
                if named:
                    problems.append(f"{kind}.{name}.teacher: '{name}' asks no teacher; remove it")
            elif named is not None:
                continue  # cross_check knows whether that teacher is there
            elif not recipe.teachers:
                problems.append(f"{kind}.{name}: needs a teacher; add one under 'teachers'")
            elif len(recipe.teachers) > 1:
                names = ", ".join(recipe.teachers)
                problems.append(f"{kind}.{name}.teacher: missing; choose one of {names}")
    return [*problems, *(_check_tasks(assembly) or _check_stages(assembly))]


def _check_stages(assembly: Assembly) -> list[str]:
    """What losses and metrics read of a teacher has to be among what it has."""
    recipe, problems = assembly.recipe, []
    for kind, components, specs in (
        ("losses", assembly.losses, recipe.losses),
        ("metrics", assembly.metrics, recipe.metrics),
    ):
        for name, component in components.items():
            if not isinstance(component, TeacherLoss | TeacherMetric) or not recipe.teachers:
                continue
            teacher = assembly.teacher_of(specs[name])
            if teacher not in assembly.teachers:
                continue
            known = assembly.teachers[teacher].stages
            problems += [
                f"{kind}.{name}: '{stage}' is no stage of teacher '{teacher}'; "
                f"{nearest(stage, known)}"
                for stage in component.stages
                if not fnmatch.filter(known, stage)
            ]
    return problems


def _check_tasks(assembly: Assembly) -> list[str]:
    """What teachers tell has to be what losses and metrics read, and what srkit can train."""
    recipe = assembly.recipe
    readers = [
        (f"{kind}.{name}", assembly.teacher_of(specs[name]), tasks_of(component))
        for kind, components, specs in (
            ("losses", assembly.losses, recipe.losses),
            ("metrics", assembly.metrics, recipe.metrics),
        )
        for name, component in components.items()
        if isinstance(component, TeacherLoss | TeacherMetric) and recipe.teachers
    ]
    readers += [
        (f"teachers.{name}.trainable", name, TRAINABLE)
        for name, spec in recipe.teachers.items()
        if spec.trainable
    ]
    return [
        f"{path}: is for {' or '.join(tasks)}, and the task of teacher '{name}' is {task}"
        for path, name, tasks in readers
        if name in assembly.teachers and (task := task_of(assembly.teachers[name])) not in tasks
    ]


def check_stretch(recipe: Recipe) -> list[str]:
    """A classifier that a run trained has to see images stretched as it did then."""
    own = recipe.dump().get("stretch")
    problems = []
    for name, spec in recipe.teachers.items():
        weights = Path(str(spec.options.get("weights")))
        path = checkpoint_of(weights) if weights.is_dir() else weights
        state = read_state(path) if path.is_file() else None
        if state is not None and state["recipe"].get("stretch") != own:
            problems.append(
                f"teachers.{name}.weights: {weights} learnt behind the stretch "
                f"{state['recipe'].get('stretch')}, and this recipe has {own}; give both the same"
            )
    return problems


def check_uncertainty(assembly: Assembly) -> list[str]:
    """What the built losses tell of the variance that they need."""
    recipe = assembly.recipe
    readers = [name for name, loss in assembly.losses.items() if isinstance(loss, VarianceLoss)]
    if recipe.uncertainty is None:
        return [
            f"losses.{name}: needs a predicted variance; add 'uncertainty: {{type: gaussian}}' to "
            "the recipe"
            for name in readers
        ]
    if recipe.generator is None:
        return ["uncertainty: is about SR, but there is no generator; remove it"]
    if not readers and assembly.losses.keys() == recipe.losses.keys():
        return ["uncertainty: no loss trains it; add one to losses, such as 'gaussian_nll: {}'"]
    return []


def check_fit(assembly: Assembly) -> list[str]:
    """What the built data and generator tell of each other, and of crop and start."""
    recipe = assembly.recipe
    datasets = {f"data.{split}.dataset": data for split, data in assembly.data.items()}
    datasets |= {f"data.{split}.mix.dataset": data for split, data in assembly.mixed_in.items()}
    problems = [
        f"{path}: its images have {data.channels} channels; expected the recipe's {recipe.channels}"
        for path, data in datasets.items()
        if data.channels != recipe.channels
    ]
    problems += _check_scale(assembly) + _check_lengths(assembly)
    if assembly.generator is not None and recipe.start is not None:
        given, published = recipe.start.weights, assembly.generator.published
        waits = any(references(given))
        here = Path(given).exists() or hub.is_on_hub(given)
        if not waits and not here and given not in published:
            problems.append(
                f"start.weights: '{given}' is no file, run folder or published name; "
                f"{nearest(given, published)}"
            )
        stages = assembly.generator.stages()
        problems += [
            f"start.freeze: '{pattern}' is no stage of {recipe.generator.type}; "  # type: ignore[union-attr]
            f"{nearest(pattern, stages)}"
            for pattern in recipe.start.frozen
            if not fnmatch.filter(stages, pattern)
        ]
    return problems


def _check_scale(assembly: Assembly) -> list[str]:
    """A crop has to hold whole LR pixels of every scale, unless SR is resized to HR anyway."""
    recipe = assembly.recipe
    source = recipe.data.train
    if source is None or not isinstance(source.crop, int):
        return []
    strict = [
        scale
        for scale, part in assembly.by_scale.items()
        if part.degradation is None or abs(part.degradation.factor * scale - 1) <= 1e-6
    ]
    if all(source.crop % scale == 0 for scale in strict):
        return []
    common = math.lcm(*strict)
    lower = source.crop - source.crop % common
    nearby = f"{lower} or {lower + common}" if lower else str(common)
    return [
        f"data.train.crop: got {source.crop}; expected a multiple of the {list_scales(strict)}, "
        f"such as {nearby}"
    ]


def _check_lengths(assembly: Assembly) -> list[str]:
    """Every scale has to have the same images."""
    problems = []
    for split, data in assembly.data.items():
        for scale, part in assembly.by_scale.items():
            if split in part.data and len(part.data[split]) != len(data):
                problems.append(
                    f"data.{split}.dataset: {len(data)} images at scale {assembly.scale}, "
                    f"{len(part.data[split])} at scale {scale}; expected the same images at each"
                )
    return problems
