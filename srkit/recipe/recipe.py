"""The recipe: the complete description of a run, read from a file and checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from srkit.components.problems import explain
from srkit.errors import RecipeError
from srkit.recipe.files import load_tree
from srkit.recipe.parts import (
    DataSpec,
    DiscriminatorSpec,
    EvaluationSpec,
    LossSpec,
    MetricSpec,
    OptimiserSpec,
    Part,
    SearchSpec,
    Spec,
    StartSpec,
    Steps,
    TeacherSpec,
    TrainingSpec,
    UncertaintySpec,
)
from srkit.recipe.trees import below
from srkit.recipe.values import Axis, Scale, file_name, with_types, without_nulls


class Recipe(Part):
    """A recipe."""

    name: Annotated[str, AfterValidator(file_name)] = Field(
        pattern=r"^\w[\w.-]*$", description="Name of the run; its folder is `runs/NAME`"
    )
    description: str = Field("", description="Description for readers")
    seed: int = Field(0, ge=0, description="Seed of all random numbers")
    scale: Scale = Field(
        4,
        description=(
            "Side of SR over the side of LR. A list trains one network for several scales"
        ),
    )
    channels: int = Field(3, gt=0, description="Channels of the images")
    needs: Annotated[dict[str, str], BeforeValidator(without_nulls)] = Field(
        default_factory=dict, description="Recipes that are trained first"
    )
    generator: Spec | None = Field(None, description="The super-resolution network")
    constraint: Spec | None = Field(
        None,
        description=(
            "What SR has to preserve of LR, such as its flux; the last step of super-resolution"
        ),
    )
    uncertainty: UncertaintySpec | None = Field(
        None, description="A head of the generator that predicts the variance of SR"
    )
    start: StartSpec | None = Field(None, description="The initial weights")
    degradation: Steps | None = Field(
        None,
        description=(
            "Computes LR from HR; not needed for data with real pairs. A list is applied in order"
        ),
    )
    stretch: Spec | None = Field(
        None,
        description=(
            "Maps flux to the values that networks, teachers and losses see; metrics see flux"
        ),
    )
    data: DataSpec = Field(DataSpec(), description="Training, validation and test images")
    teachers: dict[str, TeacherSpec] = Field(
        default_factory=dict,
        description="Networks that analyse images: they classify, segment, detect or embed",
    )
    losses: dict[str, LossSpec] = Field(
        default_factory=dict, description="The losses of the generator"
    )
    discriminator: DiscriminatorSpec | None = Field(
        None, description="A discriminator for adversarial training"
    )
    metrics: dict[str, MetricSpec] = Field(
        default_factory=dict, description="What validation and evaluation measure"
    )
    best: str | None = Field(
        None,
        description=(
            "Metric that selects the best checkpoint; of several validation sets, that of the "
            "first, or of the one that is named"
        ),
    )
    training: TrainingSpec = Field(
        TrainingSpec.model_construct(), description="Duration, optimiser, precision"
    )
    evaluation: EvaluationSpec = Field(
        EvaluationSpec.model_construct(), description="Baselines and report"
    )
    variants: Annotated[dict[str, Axis], BeforeValidator(without_nulls)] = Field(
        default_factory=dict, description="Variants that `srkit sweep` trains"
    )
    repeat: str | None = Field(
        None, description="The axis of `variants` over which results are averaged"
    )
    search: SearchSpec | None = Field(None, description="Numbers that `srkit sweep` searches")
    sample: dict[str, Any] = Field(default_factory=dict, description="Overrides for `--sample`")

    @field_validator("scale")
    @classmethod
    def _distinct(cls, given: int | list[int]) -> int | list[int]:
        if isinstance(given, list) and len(set(given)) < len(given):
            raise ValueError(f"got {given}; each scale may occur once")
        return given

    @property
    def scales(self) -> tuple[int, ...]:
        """Every scale, in the order of the recipe."""
        return tuple(self.scale) if isinstance(self.scale, list) else (self.scale,)

    @model_validator(mode="before")
    @classmethod
    def _default_types(cls, given: Any) -> Any:
        """Set the types of losses, metrics and teachers to their names; remove null entries."""
        if not isinstance(given, Mapping):
            return given
        given = dict(given)
        for key in ("losses", "metrics", "teachers"):
            if key in given:
                given[key] = with_types(given[key])
        return given

    @property
    def selecting(self) -> tuple[str, str] | None:
        """The metric and the validation set that select the best checkpoint; None without either.

        ``best: psnr`` is the PSNR of the first set, ``psnr/set14`` that of ``validation.set14``.
        """
        sets, metric = below(self.data.sources(), "validation"), self.best
        if not sets or not self.metrics:
            return None
        if metric is None or metric in self.metrics:
            return metric or next(iter(self.metrics)), next(iter(sets))
        metric, _, name = metric.rpartition("/")
        return metric, f"validation.{name}"

    def degradation_steps(self) -> Iterator[tuple[str, Spec]]:
        """Iterate over ``(path, spec)`` of the degradation, or of each of several."""
        if isinstance(self.degradation, list):
            yield from ((f"degradation.{i}", spec) for i, spec in enumerate(self.degradation))
        elif self.degradation:
            yield "degradation", self.degradation

    def components(self) -> Iterator[tuple[str, str, Spec]]:
        """Iterate over ``(path, kind, spec)`` of every component.

        Those of the training are among them if there are data to train on.
        """
        if self.generator:
            yield "generator", "generators", self.generator
        if self.constraint:
            yield "constraint", "constraints", self.constraint
        yield from ((path, "degradations", spec) for path, spec in self.degradation_steps())
        if self.stretch:
            yield "stretch", "stretches", self.stretch
        for place, source in self.data.sources().items():
            yield f"data.{place}.dataset", "datasets", source.dataset
            if source.mix:
                yield f"data.{place}.mix.dataset", "datasets", source.mix.dataset
            for number, augmentation in enumerate(source.augment):
                yield f"data.{place}.augment.{number}", "augmentations", augmentation
        if self.discriminator:
            yield "discriminator", "discriminators", self.discriminator
            yield "discriminator.loss", "games", self.discriminator.loss
        for number, baseline in enumerate(self.evaluation.baselines):
            if isinstance(baseline, Spec):
                yield f"evaluation.baselines.{number}", "constraints", baseline
        for kind in ("teachers", "losses", "metrics"):
            entries: dict[str, Spec] = getattr(self, kind)
            yield from ((f"{kind}.{name}", kind, spec) for name, spec in entries.items())
        if self.data.train:
            yield from ((path, "optimisers", spec) for path, spec in self._optimisers())
            yield "training.schedule", "schedules", self.training.schedule
            for name, tracker in self.training.trackers.items():
                yield f"training.trackers.{name}", "trackers", tracker

    def _optimisers(self) -> Iterator[tuple[str, OptimiserSpec]]:
        """Iterate over ``(path, spec)`` of the optimisers of all networks."""
        yield "training.optimiser", self.training.optimiser
        if self.uncertainty and self.uncertainty.optimiser:
            yield "uncertainty.optimiser", self.uncertainty.optimiser
        if self.discriminator:
            yield "discriminator.optimiser", self.discriminator.optimiser
        for name, teacher in self.teachers.items():
            yield f"teachers.{name}.optimiser", teacher.optimiser

    def dump(self) -> dict[str, Any]:
        """Convert to plain data that YAML and JSON can hold."""
        return self.model_dump(mode="json", exclude_none=True)


def load_recipe(path: str | Path, overrides: Sequence[str] = (), *, sample: bool = False) -> Recipe:
    """Read a recipe file.

    Parameters
    ----------
    path
        YAML file, or the name of a recipe that is part of srkit. Its ``extends`` is another one,
        relative to it, that it changes.
    overrides
        ``key=value`` each; the key is a dotted path (list items by number), the value is YAML.
    sample
        Whether to apply the recipe's ``sample`` block, before the overrides.

    Returns
    -------
    Recipe
        The checked recipe; its components are checked when they are assembled.

    Raises
    ------
    RecipeError
        With all problems of the recipe.
    """
    return parse_recipe(load_tree(path, overrides, sample=sample), str(path))


def parse_recipe(tree: Mapping[str, Any], source: str) -> Recipe:
    """Check the tree of a recipe; `source` names it in errors."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        wrong = [problem["loc"] for problem in error.errors()]
        raise RecipeError(source, explain(error, "", Recipe), _without(tree, wrong)) from None


def _without(tree: Mapping[str, Any], wrong: Iterable[Sequence[str | int]]) -> Recipe | None:
    """Return the recipe without its wrong keys; None if that is not a valid recipe."""
    rest = deepcopy(dict(tree))
    for path in wrong:
        node: Any = rest
        *parents, last = [key for key in path if isinstance(key, str)] or [""]
        for key in parents:
            if not (isinstance(node, dict) and isinstance(node.get(key), dict)):
                break
            node = node[key]
        else:
            node.pop(last, None)
    try:
        return Recipe.model_validate(rest)
    except ValidationError:
        return None
