"""Pairs of a recipe: its data sets and degradation, and what is drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from srkit.assembly.build import assemble_parts, complete
from srkit.assembly.chain import Chain
from srkit.components.registry import Registry
from srkit.data.crops import Drawn
from srkit.errors import RecipeError
from srkit.interfaces import Dataset, Degradation, Sample, SampleAugmentation
from srkit.recipe.needs import references
from srkit.recipe.recipe import Recipe

#: The keys of a recipe from which pairs are drawn.
PARTS = ("name", "seed", "scale", "channels", "degradation", "data")


@dataclass(frozen=True, slots=True)
class Pairs:
    """The data sets and the degradation of one split of a recipe.

    Parameters
    ----------
    recipe
        The recipe, with all defaults.
    split
        Path of the data set in ``data``, such as ``train``, or ``test.set5`` of several.
    source
        Name of the recipe in errors.
    dataset
        The data set.
    degradation
        The degradation of the first scale; None if the recipe has none.
    mixed
        The data set that is mixed in; None if there is none.
    augmentations
        The random changes of single samples.
    """

    recipe: Recipe
    split: str
    source: str
    dataset: Dataset
    degradation: Degradation | None
    mixed: Dataset | None
    augmentations: Sequence[SampleAugmentation]

    def check(self, sample: Sample) -> None:
        """Check that a sample has LR, or that there is a degradation that makes it.

        Raises
        ------
        RecipeError
            If the recipe has no degradation, but the sample needs one.
        """
        if sample.lr is None and self.degradation is None:
            problem = f"degradation: missing; the data set of data.{self.split} has no LR images"
            raise RecipeError(self.source, [problem])

    def complete(self, drawn: Drawn) -> Sample:
        """Return a sample with LR, degraded from HR if the data set has none; see :meth:`check`."""
        self.check(drawn.sample)
        if drawn.sample.lr is not None or self.degradation is None:
            return drawn.sample
        lr = self.degradation(drawn.sample.hr[None], [drawn.seed])[0]
        return replace(drawn.sample, lr=lr)


def build_pairs(recipe: Recipe, registry: Registry, split: str, source: str) -> Pairs:
    """Build the data sets and the degradation of a split, and nothing else of the recipe.

    Raises
    ------
    RecipeError
        If one of them cannot be built or refers to a run that the recipe needs, the recipe has no
        such split, or it has several scales.
    """
    recipe, _ = complete(recipe, registry, source)
    sources = recipe.data.sources()
    if split not in sources:
        known = ", ".join(sources) or "no data"
        raise RecipeError(source, [f"data.{split}: missing; the recipe has {known}"])
    if len(recipe.scales) > 1:
        one = f"scale={recipe.scales[0]}"
        raise RecipeError(source, [f"scale: got {recipe.scale}; expected one scale, such as {one}"])
    tree = recipe.dump()
    own = sources[split].model_dump(mode="json")
    used = {"degradation": tree.get("degradation"), "data": {split: own}}
    if waiting := list(references(used)):
        remedy = "set the run folder itself, since this command does not look for runs"
        raise RecipeError(source, [f"{path}: got needs.{name}; {remedy}" for path, name in waiting])
    parts = assemble_parts(tree, PARTS, registry, source, splits=[split])
    dataset, mixed = parts.data[split], parts.mixed_in.get(split)
    degradation = parts.degradation
    if degradation is not None:  # a chain checks the size of LR
        degradation = Chain([degradation], [parts.origins.get("degradation")])
    return Pairs(recipe, split, source, dataset, degradation, mixed, parts.sample_augmentations)
