"""The built components of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from srkit.assembly.kept_answers import KeptAnswers
from srkit.assembly.variance_head import VarianceHead
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
    TeacherMetric,
)
from srkit.recipe.parts import LossSpec, MetricSpec
from srkit.recipe.recipe import Recipe


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
