"""Crops of the data sets of a recipe."""

from __future__ import annotations

from srkit.assembly.assembly import Assembly
from srkit.data.crops import Draws


def draws_of(assembly: Assembly, *, identified: bool = False) -> dict[int, Draws]:
    """Give what training draws from, by scale."""
    recipe, source = assembly.recipe, assembly.recipe.data.train
    assert source is not None
    return {
        scale: Draws(
            part.data["train"],
            recipe.seed,
            source.hr_crop(scale),
            source.augment,
            scale,
            part.mixed_in.get("train"),
            source.mix.share if source.mix else 0.0,
            identified=identified,
        )
        for scale, part in assembly.by_scale.items()
    }
