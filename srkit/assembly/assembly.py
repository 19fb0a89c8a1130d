"""The built components of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import filter as matching
from typing import Any

import numpy as np
from torch import Tensor, nn

from srkit.assembly.kept_answers import KeptAnswers
from srkit.assembly.variance_head import VarianceHead
from srkit.components.crashes import blaming
from srkit.components.registry import Component
from srkit.data.augmenting import augment_batch
from srkit.data.crops import Draws
from srkit.data.overlaps import overlaps
from srkit.interfaces import (
    Answer,
    Augmentation,
    Batch,
    BatchAugmentation,
    Constraint,
    Dataset,
    Degradation,
    Discriminator,
    Game,
    Generator,
    Loss,
    Metric,
    Optimiser,
    SampleAugmentation,
    Schedule,
    Stretch,
    Teacher,
    TeacherLoss,
    TeacherMetric,
    Tracker,
)
from srkit.interfaces._contract import require_answer, require_sr, unchanged
from srkit.recipe.parts import DiscriminatorSpec, LossSpec, MetricSpec, WeightSpec
from srkit.recipe.recipe import Recipe


@dataclass(slots=True)
class Assembly:
    """The components of a recipe, built for one of its scales.

    Parameters
    ----------
    recipe
        The recipe, with every option of every component.
    scale
        The scale. Scales share every component whose factory does not take `scale`.
    generator, uncertainty, constraint, degradation, stretch, discriminator, game
        None if the recipe has none.
    baselines
        The constraints that refine the bicubic interpolation in the evaluation, by type.
    teachers, losses, metrics
        By name.
    augmentations
        The random changes of the training data, by path in the recipe.
    optimisers, schedule, trackers
        Those of the training, the optimisers by path in the recipe, the trackers by name; built
        with training data only.
    data, mixed_in
        The data sets, and those that are mixed into them, by their path in ``data``: ``train``, or
        ``test.set5`` of several.
    origins
        What the components were built from, by path in the recipe.
    downloads
        Addresses of what a run will download, by the path in the recipe.
    remarks
        Notes for the user on the weights that were opened.
    kept
        The answers on HR that a run keeps on disk, by teacher.
    weights
        The weights of this step that change, by path in the recipe; see :meth:`set_weights`.
    by_scale
        The assemblies of all scales, this one among them.
    """

    recipe: Recipe
    scale: int
    generator: Generator | None = None
    uncertainty: VarianceHead | None = None
    constraint: Constraint | None = None
    degradation: Degradation | None = None
    stretch: Stretch | None = None
    discriminator: Discriminator | None = None
    game: Game | None = None
    baselines: dict[str, Constraint] = field(default_factory=dict)
    teachers: dict[str, Teacher] = field(default_factory=dict)
    losses: dict[str, Loss] = field(default_factory=dict)
    metrics: dict[str, Metric | TeacherMetric] = field(default_factory=dict)
    augmentations: dict[str, Augmentation] = field(default_factory=dict)
    optimisers: dict[str, Optimiser] = field(default_factory=dict)
    schedule: Schedule | None = None
    trackers: dict[str, Tracker] = field(default_factory=dict)
    data: dict[str, Dataset] = field(default_factory=dict)
    mixed_in: dict[str, Dataset] = field(default_factory=dict)
    origins: dict[str, Component] = field(default_factory=dict)
    downloads: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    kept: dict[str, KeptAnswers] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    by_scale: dict[int, Assembly] = field(default_factory=dict, repr=False, compare=False)

    @property
    def distributions(self) -> dict[str, str]:
        """Versions of the distributions that the components come from."""
        return {each.distribution: each.version for each in self.origins.values()}

    def blamed(self, path: str) -> blaming:
        """Attribute what goes wrong in the component at a path of the recipe to its distribution.

        So is a ValueError of a third party.
        """
        return blaming(self.origins.get(path), values=True)

    def answer(self, name: str, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        """Run a teacher on images, and check that its answer is what its task requires."""
        teacher = self.teachers[name]
        with self.blamed(f"teachers.{name}"):
            with unchanged("a teacher", images):
                answer = teacher(images, stages)
            require_answer(answer, teacher, images, stages)
        return answer

    def checked(self, generator: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Return a generator that checks the size of each SR."""

        def run(lr: Tensor) -> Tensor:
            with self.blamed("generator"):
                sr = generator(lr)
                require_sr(sr, lr, self.scale)
            return sr

        return run

    def networks(self) -> dict[str, nn.Module]:
        """Return every module that runs on the device, by name."""
        named: dict[str, Any] = {"generator": self.generator, "discriminator": self.discriminator}
        named["uncertainty"] = self.uncertainty
        named |= {f"teachers.{name}": teacher for name, teacher in self.teachers.items()}
        for scale, part in self.by_scale.items():
            named |= {f"losses.{name}.x{scale}": loss for name, loss in part.losses.items()}
        return {name: module for name, module in named.items() if isinstance(module, nn.Module)}

    def notes(self) -> list[str]:
        """Return notes for the user on how the components fit together."""
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

    def overlaps(self) -> list[str]:
        """Return a line for any two data sets whose images overlap, as on the sky."""
        mixed = {f"{split}.mix": data for split, data in self.mixed_in.items()}
        return list(map(str, overlaps({**self.data, **mixed})))

    @property
    def sample_augmentations(self) -> list[SampleAugmentation]:
        """The augmentations of single samples; the others change degraded batches."""
        found = self.augmentations.values()
        return [each for each in found if not isinstance(each, BatchAugmentation)]

    def augmented(self, batch: Batch) -> Batch:
        """Change a degraded batch at random, as a pure function of the seeds of its samples."""
        rng = np.random.default_rng([*batch.seeds])
        for path, augmentation in self.augmentations.items():
            if isinstance(augmentation, BatchAugmentation):
                with self.blamed(path):
                    batch = augment_batch(augmentation, batch, rng)
        return batch

    def draws(self, *, identified: bool = False) -> dict[int, Draws]:
        """Return the random crops of the training data, by scale.

        Parameters
        ----------
        identified
            Whether each sample comes with its position and the digest of its HR.
        """
        source = self.recipe.data.train
        assert source is not None
        return {
            scale: Draws(
                part.data["train"],
                self.recipe.seed,
                source.hr_crop(scale),
                part.sample_augmentations,
                scale,
                part.mixed_in.get("train"),
                source.mix.share if source.mix else 0.0,
                identified=identified,
            )
            for scale, part in self.by_scale.items()
        }

    def set_weights(self, step: int, steps_per_epoch: float) -> None:
        """Set the weights that change in the course of the training to those of a step."""
        weights = {
            path: spec.weight.at(step, steps_per_epoch)
            for path, spec in self._weighted().items()
            if isinstance(spec.weight, WeightSpec)
        }
        for part in self.by_scale.values():
            part.weights = weights

    def weight_of(self, path: str) -> float:
        """Return the weight of a loss, or of the discriminator; before any step the last one."""
        weight = self._weighted()[path].weight
        return self.weights.get(path, weight.to) if isinstance(weight, WeightSpec) else weight

    def rests(self, path: str) -> bool:
        """Return whether a loss is not computed, since its weight is 0 at this step."""
        return self.weights.get(path) == 0

    def _weighted(self) -> dict[str, LossSpec | DiscriminatorSpec]:
        """Return what has a weight in the recipe, by path."""
        found: dict[str, LossSpec | DiscriminatorSpec] = {
            f"losses.{name}": spec for name, spec in self.recipe.losses.items()
        }
        if self.recipe.discriminator is not None:
            found["discriminator"] = self.recipe.discriminator
        return found

    def teacher_of(self, spec: LossSpec | MetricSpec) -> str:
        """Return the name of the teacher whose answers a loss or metric compares."""
        return spec.teacher or next(iter(self.recipe.teachers))

    def losses_on(self, teacher: str) -> dict[str, TeacherLoss]:
        """Return the losses that compare the answers of a teacher."""
        return {
            name: loss
            for name, loss in self.losses.items()
            if isinstance(loss, TeacherLoss)
            and self.teacher_of(self.recipe.losses[name]) == teacher
        }

    def metrics_on(self, teacher: str) -> dict[str, TeacherMetric]:
        """Return the metrics that compare the answers of a teacher."""
        return {
            name: metric
            for name, metric in self.metrics.items()
            if isinstance(metric, TeacherMetric)
            and self.teacher_of(self.recipe.metrics[name]) == teacher
        }


def wanted_stages(
    readers: Mapping[str, TeacherLoss] | Mapping[str, TeacherMetric], teacher: Teacher
) -> list[str]:
    """Return each stage of a teacher that any loss or metric reads, once.

    A name that matches no stage is kept: the teacher reports which stages there are.
    """
    named = (stage for reader in readers.values() for stage in reader.stages)
    found = (stage for name in named for stage in matching(teacher.stages, name) or [name])
    return list(dict.fromkeys(found))
