"""`srkit data show`: a picture sheet of what a network learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from matplotlib.figure import Figure

from srkit.components.registry import Registry
from srkit.data.crops import Draws
from srkit.data.order import Ticket, order
from srkit.dataprep.make import Split, build_data, missing_degradation
from srkit.interfaces import GroupedDataset, Sample
from srkit.recipe.recipe import Recipe
from srkit.report.sheets import pair_sheet


def show(
    recipe: Recipe, registry: Registry, *, source: str, split: Split = "train", count: int = 12
) -> Figure:
    """Draw pairs of a recipe: LR beside HR, cut, turned and degraded as a run sees them.

    Parameters
    ----------
    recipe, registry
        What to draw, from which components.
    source
        Names the recipe in errors.
    split
        Which of the recipe's data sets. Of training, the first pairs that a run takes, in its
        order; of the others the first whole images.
    count
        Pairs on the sheet; fewer where a validation or test set has fewer.

    Raises
    ------
    RecipeError
        If the recipe has no such data, or no degradation where the data have no LR.
    DataError
        If an image cannot be read, or is too small for the crop.
    """
    return pair_sheet(list(_pairs(recipe, registry, source, split, count)))


def _pairs(
    recipe: Recipe, registry: Registry, source: str, split: Split, count: int
) -> Iterator[Sample]:
    recipe, dataset, degradation, mixed = build_data(recipe, registry, split, source)
    scale, trains = recipe.scales[0], split == "train"
    chosen = getattr(recipe.data, split)
    crop, augment = (chosen.hr_crop(scale), chosen.augment) if trains else (None, ())
    share = chosen.mix.share if chosen.mix else 0.0
    draws = Draws(dataset, recipe.seed, crop, augment, scale, mixed, share)
    grouped = dataset if isinstance(dataset, GroupedDataset) else None
    tickets: Iterator[Ticket] = (
        order(len(dataset), recipe.seed, grouped=grouped)
        if trains
        else ((0, i) for i in range(len(dataset)))
    )
    for ticket in islice(tickets, count):
        drawn = draws.draw(*ticket)
        if drawn.sample.lr is not None:
            yield drawn.sample
        elif degradation is None:
            raise missing_degradation(source, split)
        else:
            yield replace(drawn.sample, lr=degradation(drawn.sample.hr[None], [drawn.seed])[0])
