"""From a recipe to built components, reporting everything that is wrong at once."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from srkit.assembly.chain import Chain
from srkit.assembly.kept_answers import KeptAnswers
from srkit.assembly.variance_head import VarianceHead
from srkit.components.options import build, downloads, explain, options_model, validate, wants
from srkit.components.registry import Component, Registry
from srkit.data.scales import list_scales
from srkit.data.tasks import TRAINABLE, task_of, tasks_of
from srkit.errors import PluginError, RecipeError, SrkitError, nearest
from srkit.images.formats import Formats
from srkit.interfaces import (
    Constraint,
    Dataset,
    Degradation,
    Discriminator,
    Generator,
    Loss,
    Metric,
    Stretch,
    Teacher,
    TeacherLoss,
    TeacherMetric,
    VarianceLoss,
)
from srkit.recipe.files import load_tree
from srkit.recipe.needs import references, unknown
from srkit.recipe.parts import LossSpec, MetricSpec, Spec
from srkit.recipe.recipe import Recipe, parse_recipe
from srkit.weights import hub
from srkit.weights.checkpoints import checkpoint_of, read_state
from srkit.weights.files import is_here

#: What a recipe may have data for.
SPLITS = ("train", "validation", "test")

#: What a recipe has one of, however many its scales: what is trained, and what judges.
SHARED = ("generator", "discriminator", "teachers")

#: What of a recipe decides how an image is restored.
RESTORING = (
    "name",
    "seed",
    "scale",
    "channels",
    "generator",
    "uncertainty",
    "stretch",
    "constraint",
)


@dataclass(slots=True)
class Assembly:
    """The built components of a recipe, under their names in it, for one of its scales.

    Scales share every component whose factory does not take `scale`; `by_scale` has them all.
    `kept` has the answers of teachers on HR that a run keeps on disk.
    `downloads` has the addresses of what a run will download, by the path in the recipe.
    """

    recipe: Recipe
    scale: int
    generator: Generator | None = None
    uncertainty: VarianceHead | None = None
    constraint: Constraint | None = None
    degradation: Degradation | None = None
    stretch: Stretch | None = None
    discriminator: Discriminator | None = None
    teachers: dict[str, Teacher] = field(default_factory=dict)
    losses: dict[str, Loss] = field(default_factory=dict)
    metrics: dict[str, Metric | TeacherMetric] = field(default_factory=dict)
    data: dict[str, Dataset] = field(default_factory=dict)
    mixed_in: dict[str, Dataset] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    downloads: dict[str, list[str]] = field(default_factory=dict)
    kept: dict[str, KeptAnswers] = field(default_factory=dict)
    by_scale: dict[int, Assembly] = field(default_factory=dict, repr=False, compare=False)

    def networks(self) -> dict[str, nn.Module]:
        """Name every module that runs on the device."""
        named: dict[str, Any] = {"generator": self.generator, "discriminator": self.discriminator}
        named["uncertainty"] = self.uncertainty
        named |= {f"teachers.{name}": teacher for name, teacher in self.teachers.items()}
        for scale, part in self.by_scale.items():
            named |= {f"losses.{name}.x{scale}": loss for name, loss in part.losses.items()}
        return {name: module for name, module in named.items() if isinstance(module, nn.Module)}

    def notes(self) -> list[str]:
        """Say what the user should know of how the parts fit together."""
        factors = {
            scale: part.degradation.factor
            for scale, part in self.by_scale.items()
            if part.degradation is not None and self.generator is not None
        }
        return [
            f"degradation: LR has {factor:.4g} of HR's side; SR, {scale} times as large, is "
            "resized to HR"
            for scale, factor in factors.items()
            if abs(factor * scale - 1) > 1e-6
        ]

    def teacher_of(self, spec: LossSpec | MetricSpec) -> str:
        """Name the teacher whose answers a loss or metric compares."""
        return spec.teacher or next(iter(self.recipe.teachers))


def read(
    path: Path,
    registry: Registry,
    overrides: Sequence[str],
    *,
    sample: bool,
    splits: Sequence[str] | None = None,
    download: bool = True,
) -> Recipe:
    """Read a recipe file; what is wrong with components is told with what is wrong elsewhere.

    Parameters
    ----------
    path, overrides, sample
        As :func:`srkit.recipe.recipe.load_recipe` takes them.
    registry
        Where its components come from.
    splits
        The data sets that will be built from it; None where nothing will be built.
    download
        Whether to build what has to be downloaded first.

    Raises
    ------
    RecipeError
        With everything that is wrong with its keys and values and, if there is anything, with
        what the components that are free of that say when they are built.
    """
    tree = load_tree(path, overrides, sample=sample)
    return parse(tree, registry, str(path), splits=splits, download=download)


def parse(
    tree: Mapping[str, Any],
    registry: Registry,
    source: str,
    *,
    splits: Sequence[str] | None = None,
    download: bool = True,
) -> Recipe:
    """Check a recipe that is already one tree, as :func:`read` checks a file."""
    try:
        return parse_recipe(tree, source)
    except RecipeError as error:
        if error.rest is None:
            raise
        more, components = _check_options(error.rest, registry)
        everyone_is_told_wrong = any(p.startswith(("scale:", "channels:")) for p in error.problems)
        if splits is not None and not everyone_is_told_wrong:
            assembly, unbuilt = _build(error.rest, components, registry, splits, download=download)
            more += unbuilt + _check_fit(assembly)
        raise RecipeError(error.source, [*error.problems, *more]) from None


def complete(
    recipe: Recipe, registry: Registry, source: str
) -> tuple[Recipe, dict[str, Component]]:
    """Check every component's options and write their defaults into the recipe.

    Returns
    -------
    recipe
        With every option of every component stated.
    components
        By their path in the recipe.

    Raises
    ------
    RecipeError
        With every unknown component and wrong option.
    """
    recipe = recipe.model_copy(deep=True)
    problems, components = _check_options(recipe, registry)
    problems = [*_cross_check(recipe), *problems]
    if problems:
        raise RecipeError(source, problems)
    return recipe, components


def _check_options(recipe: Recipe, registry: Registry) -> tuple[list[str], dict[str, Component]]:
    """Find the components and check their options, whose defaults are written into the recipe."""
    problems: list[str] = []
    components: dict[str, Component] = {}
    for path, kind, spec in recipe.components():
        try:
            component = registry.get(kind, spec.type)
            options = validate(component.factory, spec.options)
        except PluginError as error:
            problems.append(f"{path}.type: {error}")
        except ValidationError as error:
            model = options_model(component.factory)
            problems += explain(error, path, model, beside=type(spec).model_fields)
        except (TypeError, NameError) as error:
            problems.append(
                f"{path}: '{spec.type}' of {component.distribution} has a signature that a recipe "
                f"cannot set: {error}"
            )
        else:
            components[path] = component
            spec.__pydantic_extra__ = options
    return problems, components


def assemble(
    recipe: Recipe,
    registry: Registry,
    source: str,
    *,
    splits: Sequence[str],
    download: bool = True,
) -> Assembly:
    """Build every component of a recipe but those that wait for what it needs.

    Parameters
    ----------
    recipe, registry
        What to build from what.
    source
        Names the recipe in errors.
    splits
        The data sets to build, of :data:`SPLITS`.
    download
        Whether to build what has to be downloaded first; otherwise it is left out and listed.

    Raises
    ------
    RecipeError
        With everything that is unknown, wrong or cannot be built.
    """
    recipe = recipe.model_copy(deep=True)
    problems, components = _check_options(recipe, registry)
    assembly, unbuilt = _build(recipe, components, registry, splits, download=download)
    if not download:
        assembly.downloads |= _awaited_weights(assembly)
    problems = [
        *_cross_check(recipe),
        *problems,
        *unbuilt,
        *_check_teachers(assembly),
        *_check_stretch(assembly.recipe),
        *_check_uncertainty(assembly),
        *_check_fit(assembly),
    ]
    if problems:
        raise RecipeError(source, problems)
    return assembly


def assemble_restoring(tree: Mapping[str, Any], registry: Registry, source: str) -> Assembly:
    """Build what restores images, and nothing that only training or evaluation needs.

    Parameters
    ----------
    tree
        The recipe of a run, as its checkpoints hold it; only :data:`RESTORING` is looked at.
    registry
        Where components come from.
    source
        Names the checkpoint in errors.

    Raises
    ------
    RecipeError
        With everything that is unknown, wrong or cannot be built.
    """
    recipe = parse_recipe({key: tree[key] for key in RESTORING if key in tree}, source)
    problems, components = _check_options(recipe, registry)
    assembly, unbuilt = _build(recipe, components, registry, ())
    if problems or unbuilt:
        raise RecipeError(source, [*problems, *unbuilt])
    return assembly


def _build(
    recipe: Recipe,
    components: Mapping[str, Component],
    registry: Registry,
    splits: Sequence[str],
    *,
    download: bool = True,
) -> tuple[Assembly, list[str]]:
    """Build what is free of errors so far, and tell what cannot be built."""
    supplied = {"channels": recipe.channels, "formats": Formats.of(registry)}
    by_scale = {scale: Assembly(recipe, scale) for scale in recipe.scales}
    for assembly in by_scale.values():
        assembly.by_scale = by_scale
    problems: list[str] = []
    for path, _, spec in recipe.components():
        section, _, name = path.partition(".")
        if path not in components or any(references(spec.options)):
            continue
        if section == "data" and name.partition(".")[0] not in splits:
            continue
        factory = components[path].factory
        own = "scale" in wants(factory)
        if own and section in SHARED and len(by_scale) > 1:
            problems.append(
                f"{path}: '{spec.type}' is built for one scale, but the recipe has the "
                f"{list_scales(recipe.scales)}; choose one for several, such as mdsr, or one scale"
            )
            continue
        component: Any = None
        try:
            if not download and (awaited := downloads(factory, spec.options)):
                by_scale[recipe.scales[0]].downloads[path] = awaited
                continue
            for scale, assembly in by_scale.items():
                if own or component is None:
                    # A network's first weights depend on nothing else.
                    torch.manual_seed(recipe.seed)
                    sizes = {"scale": scale, "scales": recipe.scales}
                    sizes["least_side"] = _least_side(recipe, path)
                    component = build(factory, spec.options, **supplied, **sizes)
                _place(assembly, path, component)
        except (ValueError, SrkitError) as error:
            problems.append(f"{path}: {error}")
            continue
        distribution = components[path].distribution
        for assembly in by_scale.values():
            assembly.distributions[distribution] = components[path].version
    if recipe.uncertainty is not None:
        torch.manual_seed(recipe.seed)
        features = recipe.uncertainty.features
        head = VarianceHead(channels=recipe.channels, features=features)
        for assembly in by_scale.values():
            assembly.uncertainty = head
    return by_scale[recipe.scales[0]], problems


def _awaited_weights(assembly: Assembly) -> dict[str, list[str]]:
    """List what a run will download of the published weights that the recipe names."""
    recipe, generator = assembly.recipe, assembly.generator
    named = {f"evaluation.models.{name}": given for name, given in recipe.evaluation.models.items()}
    if recipe.start is not None:
        named["start.weights"] = recipe.start.weights
    published = {} if generator is None else generator.published
    awaited = {
        path: [published[given].url]
        for path, given in named.items()
        if given in published and not is_here(published[given])
    }
    on_hub = {path: given for path, given in named.items() if hub.is_on_hub(given)}
    return awaited | {path: [given] for path, given in on_hub.items() if not hub.is_here(given)}


def _least_side(recipe: Recipe, path: str) -> int:
    """Give the HR pixels that images of a data set need on each side to be cut at every scale."""
    source = recipe.data.train
    if source is None or not path.startswith("data.train."):
        return 0
    return max(source.hr_crop(scale) or 0 for scale in recipe.scales)


def _place(assembly: Assembly, path: str, component: Any) -> None:
    section, _, name = path.partition(".")
    if section == "data":
        split, _, place = name.partition(".")
        group = assembly.mixed_in if place.startswith("mix.") else assembly.data
        group[split] = component
    elif section == "degradation" and name:
        earlier = getattr(assembly.degradation, "steps", ())
        assembly.degradation = Chain([*earlier, component])
    elif name:
        getattr(assembly, section)[name] = component
    else:
        setattr(assembly, section, component)


def _cross_check(recipe: Recipe) -> list[str]:
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


def _check_teachers(assembly: Assembly) -> list[str]:
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
                continue  # _cross_check knows whether that teacher is there
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


def _check_stretch(recipe: Recipe) -> list[str]:
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


def _check_uncertainty(assembly: Assembly) -> list[str]:
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


def _check_fit(assembly: Assembly) -> list[str]:
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
