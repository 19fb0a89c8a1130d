"""`srkit data show`: draw pairs of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from matplotlib.figure import Figure

from srkit.components.registry import Registry
from srkit.data.crops import Draws
from srkit.data.order import Ticket, order
from srkit.dataprep.pairs import build_pairs
from srkit.interfaces import GroupedDataset
from srkit.recipe.recipe import Recipe
from srkit.report.sheets import pair_sheet


def show(
    recipe: Recipe, registry: Registry, *, source: str, split: str = "train", count: int = 12
) -> Figure:
    """Draw pairs of a recipe, LR beside HR, cropped, augmented and degraded as in a run.

    Augmentations that change whole batches, such as mixup, are not shown.

    Parameters
    ----------
    recipe, registry
        The recipe, and its components.
    source
        Name of the recipe in errors.
    split
        The recipe's data set. Training data are shown in the order of training, other data as
        whole images in their own order.
    count
        Number of pairs; a validation or test set may have fewer.

    Raises
    ------
    RecipeError
        If the recipe has no such data, or no degradation although the data have no LR.
    DataError
        If an image cannot be read, or is too small for the crop.
    """
    pairs = build_pairs(recipe, registry, split, source)
    dataset, scale, seed = pairs.dataset, recipe.scales[0], recipe.seed
    chosen = pairs.recipe.data.sources()[split]
    share = chosen.mix.share if chosen.mix else 0.0
    tickets: Iterator[Ticket]
    if split == "train":
        grouped = dataset if isinstance(dataset, GroupedDataset) else None
        tickets = order(len(dataset), seed, grouped=grouped)
        crop = chosen.hr_crop(scale)
    else:
        tickets = ((0, index) for index in range(len(dataset)))
        crop = None
    draws = Draws(dataset, seed, crop, pairs.augmentations, scale, pairs.mixed, share)
    shown = [pairs.complete(draws.draw(*ticket)) for ticket in islice(tickets, count)]
    return pair_sheet(shown)
