"""Checks that compare parts of a recipe, and its built components, with each other.

Each returns the problems that it finds, one a line, after the key of the recipe.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path

import torch
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.data.scales import list_scales
from srkit.data.truth import TRAINABLE, task_of, tasks_of
from srkit.errors import nearest
from srkit.interfaces import (
    AveragingOptimiser,
    Loss,
    Metric,
    Observing,
    TeacherLoss,
    TeacherMetric,
    VarianceLoss,
)
from srkit.recipe.needs import references, unknown
from srkit.recipe.parts import LossSpec, MetricSpec
from srkit.recipe.recipe import Recipe
from srkit.recipe.trees import below
from srkit.weights import hub
from srkit.weights.checkpoints import read_state
from srkit.weights.files import published_of
from srkit.weights.runs import checkpoint_of


def cross_check(recipe: Recipe) -> list[str]:
    """Check names that refer to each other, and parts that need each other."""
    problems = unknown(recipe)
    named = [key.partition(".")[2] for key in below(recipe.data.sources(), "validation")]
    selecting = [*recipe.metrics, *(f"{m}/{s}" for m in recipe.metrics for s in named if s)]
    if recipe.best is not None and recipe.best not in selecting:
        hint = nearest(recipe.best, selecting)
        problems.append(f"best: unknown metric '{recipe.best}'; {hint}")
    for kind in ("losses", "metrics"):
        entries: Mapping[str, LossSpec | MetricSpec] = getattr(recipe, kind)
        for name, spec in entries.items():
            if spec.teacher is not None and spec.teacher not in recipe.teachers:
                problems.append(
                    f"{kind}.{name}.teacher: unknown teacher '{spec.teacher}'; "
                    f"{nearest(spec.teacher, recipe.teachers)}"
                )
    problems += _unused_keys(recipe)
    parts, together = recipe.training.accumulate, recipe.training.batch_size
    if together % parts:
        problems.append(
            f"training.accumulate: {together} samples of a batch cannot be split into {parts} "
            "equal parts; choose a divisor of training.batch_size"
        )
    if recipe.training.patience is not None and recipe.data.validation is None:
        problems.append("training.patience: needs data.validation, which shows what is better")
    whole = recipe.start is not None and recipe.start.take != "generator"
    if whole and recipe.discriminator is not None and recipe.discriminator.weights is not None:
        problems.append("discriminator.weights: start.take takes it over from the run; remove one")
    return problems


def check_trained(recipe: Recipe) -> list[str]:
    """Check that there is something to train, and what trains it."""
    problems = []
    trainable = any(teacher.trainable for teacher in recipe.teachers.values())
    if recipe.generator is None and not trainable:
        problems.append("generator: missing; a recipe trains a generator or a trainable teacher")
    if recipe.generator is None and (recipe.start or recipe.discriminator or recipe.losses):
        problems.append("generator: missing; start, losses and discriminator need one")
    if recipe.generator is not None and not recipe.losses:
        problems.append("losses: missing; a generator needs at least one")
    return problems


def _unused_keys(recipe: Recipe) -> list[str]:
    """Find keys of validation and test data that have a meaning in training only."""
    return [
        f"data.{place}.{key}: only training data are {what}; remove it"
        for place, source in recipe.data.sources().items()
        for key, what in (("mix", "mixed"), ("crop", "cropped"), ("augment", "augmented"))
        if place != "train" and getattr(source, key)
    ]


def _losses_and_metrics(
    assembly: Assembly,
) -> Iterator[tuple[str, Loss | Metric | TeacherMetric, LossSpec | MetricSpec]]:
    """Iterate over path, component and entry in the recipe of all losses and metrics."""
    recipe = assembly.recipe
    for name, loss in assembly.losses.items():
        yield f"losses.{name}", loss, recipe.losses[name]
    for name, metric in assembly.metrics.items():
        yield f"metrics.{name}", metric, recipe.metrics[name]


def check_teachers(assembly: Assembly) -> list[str]:
    """Check that losses and metrics have the teachers that they need."""
    teachers, problems = assembly.recipe.teachers, []
    readers: list[tuple[str, TeacherLoss | TeacherMetric, str]] = []
    for path, component, spec in _losses_and_metrics(assembly):
        if not isinstance(component, TeacherLoss | TeacherMetric):
            if spec.teacher:
                name = path.partition(".")[2]
                problems.append(f"{path}.teacher: '{name}' needs no teacher; remove it")
            continue
        if teachers and (teacher := assembly.teacher_of(spec)) in assembly.teachers:
            readers.append((path, component, teacher))
        if not teachers and spec.teacher is None:
            problems.append(f"{path}: needs a teacher; add one under 'teachers'")
        elif len(teachers) > 1 and spec.teacher is None:
            problems.append(f"{path}.teacher: missing; choose one of {', '.join(teachers)}")
    return [*problems, *(_check_tasks(assembly, readers) or _check_stages(assembly, readers))]


def _check_tasks(
    assembly: Assembly, readers: list[tuple[str, TeacherLoss | TeacherMetric, str]]
) -> list[str]:
    """Check that the task of each teacher is one that losses and metrics read or srkit trains."""
    expected = [(path, teacher, tasks_of(component)) for path, component, teacher in readers]
    expected += [
        (f"teachers.{name}.trainable", name, TRAINABLE)
        for name, spec in assembly.recipe.teachers.items()
        if spec.trainable and name in assembly.teachers
    ]
    return [
        f"{path}: is for {' or '.join(tasks)}, but the task of teacher '{name}' is {task}"
        for path, name, tasks in expected
        if (task := task_of(assembly.teachers[name])) not in tasks
    ]


def _check_stages(
    assembly: Assembly, readers: list[tuple[str, TeacherLoss | TeacherMetric, str]]
) -> list[str]:
    """Check that each teacher has the stages that losses and metrics read."""
    return [
        f"{path}: unknown stage '{stage}' of teacher '{teacher}'; {nearest(stage, known)}"
        for path, component, teacher in readers
        for known in [assembly.teachers[teacher].stages]
        for stage in component.stages
        if not fnmatch.filter(known, stage)
    ]


def check_stretch(recipe: Recipe) -> list[str]:
    """Check that classifiers that a run trained see the same stretch as they did then."""
    own = recipe.dump().get("stretch")
    problems = []
    for name, spec in recipe.teachers.items():
        weights = Path(str(spec.options.get("weights")))
        path = checkpoint_of(weights) if weights.is_dir() else weights
        state = read_state(path) if path.is_file() else None
        if state is not None and state["recipe"].get("stretch") != own:
            problems.append(
                f"teachers.{name}.weights: {weights} was trained with stretch "
                f"{state['recipe'].get('stretch')}, this recipe uses {own}; use the same stretch "
                "in both"
            )
    return problems


def check_observation(assembly: Assembly) -> list[str]:
    """Check that metrics do not average SR where the constraint states how LR was observed."""
    if not isinstance(assembly.constraint, Observing) or assembly.constraint.observation is None:
        return []
    return [
        f"metrics.{name}: states no PSF, but the constraint does; set psf and source as there"
        for name, metric in assembly.metrics.items()
        if isinstance(metric, Observing) and metric.observation is None
    ]


def check_required(assembly: Assembly) -> list[str]:
    """Check that the recipe has the keys that losses and metrics state as required."""
    problems = []
    for path, component, _ in _losses_and_metrics(assembly):
        for key in getattr(component, "requires", ()):
            with assembly.blamed(path):
                value = attrgetter(key)(assembly.recipe)
            if value is None:
                problems.append(f"{path}: needs {key}; add it to the recipe")
    return problems


def check_uncertainty(assembly: Assembly) -> list[str]:
    """Check that a predicted variance and the losses that train it come together."""
    recipe = assembly.recipe
    readers = [name for name, loss in assembly.losses.items() if isinstance(loss, VarianceLoss)]
    if recipe.uncertainty is None:
        return [
            f"losses.{name}: needs a predicted variance; add 'uncertainty: {{type: gaussian}}' to "
            "the recipe"
            for name in readers
        ]
    if recipe.generator is None:
        return ["uncertainty: describes SR, but there is no generator; remove it"]
    if not readers and assembly.losses.keys() == recipe.losses.keys():
        return ["uncertainty: no loss trains it; add one to losses, such as 'gaussian_nll: {}'"]
    return []


def check_average(assembly: Assembly) -> list[str]:
    """Check that weights are averaged once."""
    path = "training.optimiser"
    build = assembly.optimisers.get(path)
    if assembly.recipe.training.ema is None or build is None:
        return []
    with assembly.blamed(path):
        averages = isinstance(build([nn.Parameter(torch.zeros(1, 1))]), AveragingOptimiser)
    kind = assembly.recipe.training.optimiser.type
    return [f"training.ema: {kind} averages the weights itself; remove one"] if averages else []


def check_fit(assembly: Assembly) -> list[str]:
    """Check that data, generator, crop and start fit together."""
    recipe = assembly.recipe
    datasets = {f"data.{split}.dataset": data for split, data in assembly.data.items()}
    datasets |= {f"data.{split}.mix.dataset": data for split, data in assembly.mixed_in.items()}
    problems = [
        f"{path}: its images have {data.channels} channels; expected the recipe's {recipe.channels}"
        for path, data in datasets.items()
        if data.channels != recipe.channels
    ]
    problems += _check_crop(assembly) + _check_lengths(assembly) + _check_discriminator(recipe)
    if assembly.generator is not None and recipe.generator is not None and recipe.start is not None:
        given, published = recipe.start.weights, published_of(assembly.generator)
        awaited = any(references(given))
        exists = Path(given).exists() or hub.is_on_hub(given)
        if not awaited and not exists and given not in published:
            problems.append(
                f"start.weights: '{given}' is not a file, run folder or published name; "
                f"{nearest(given, published)}"
            )
        stages = assembly.generator.stages()
        problems += [
            f"start.freeze: unknown stage '{pattern}' of {recipe.generator.type}; "
            f"{nearest(pattern, stages)}"
            for pattern in recipe.start.frozen
            if not fnmatch.filter(stages, pattern)
        ]
    return problems


def _check_discriminator(recipe: Recipe) -> list[str]:
    """Check that the trained weights of the discriminator exist."""
    given = None if recipe.discriminator is None else recipe.discriminator.weights
    if given is None or any(references(given)) or Path(given).exists() or hub.is_on_hub(given):
        return []
    return [f"discriminator.weights: '{given}' is not a file or a run folder"]


def _check_crop(assembly: Assembly) -> list[str]:
    """Check that a crop holds whole LR pixels of every scale, unless SR is resized to HR anyway."""
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
    """Check that every scale has the same images."""
    return [
        f"data.{split}.dataset: {len(data)} images at scale {assembly.scale}, "
        f"{len(part.data[split])} at scale {scale}; expected the same images at each"
        for split, data in assembly.data.items()
        for scale, part in assembly.by_scale.items()
        if split in part.data and len(part.data[split]) != len(data)
    ]
