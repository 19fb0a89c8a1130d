"""Run folders: that of a recipe, and beside it those of the recipes that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from srkit.errors import TrainingError

if TYPE_CHECKING:
    from srkit.components.registry import Registry
    from srkit.recipe.recipe import Recipe


def run_folder(recipe: Recipe, sample: bool) -> Path:
    """Return the default folder of a run."""
    return Path("runs") / (f"{recipe.name}-sample" if sample else recipe.name)


def with_needs(
    recipe: Recipe, path: Path, registry: Registry, sample: bool, folder: Path
) -> Recipe:
    """Insert the run folders of a recipe's needs into the recipe."""
    from srkit.recipe.needs import resolve
    from srkit.weights.runs import is_trained

    needs = needs_of(recipe, registry, sample, folder)
    for name, (needed, run) in needs.items():
        if not is_trained(run, needed):
            flag = " --sample" if sample else ""
            raise TrainingError(
                f"{path}: needs.{name}: {run} does not contain a finished run; train it first: "
                f"srkit train {recipe.needs[name]}{flag} --out {run}"
            )
    return resolve(recipe, {name: run for name, (_, run) in needs.items()}, str(path))


def needs_of(
    recipe: Recipe, registry: Registry, sample: bool, folder: Path
) -> dict[str, tuple[Recipe, Path]]:
    """Return the recipe and the run folder of each need."""
    from srkit.assembly.build import read

    found = {}
    for name, path in recipe.needs.items():
        needed = read(Path(path), registry, [], sample=sample)
        found[name] = needed, folder.parent / run_folder(needed, sample).name
    return found
