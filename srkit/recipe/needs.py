"""Recipes that need what other recipes train: a classifier to learn from, weights to start from.

A recipe names them under `needs`. Wherever it says ``needs.NAME``, the run folder of that recipe
is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from srkit.errors import nearest
from srkit.recipe.recipe import Recipe, parse_recipe

PREFIX = "needs."


def references(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Iterate over ``(path, name)`` of everything in a tree that refers to a need."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from references(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from references(value, f"{path}.{index}" if path else str(index))
    elif isinstance(tree, str | Path) and str(tree).startswith(PREFIX):
        yield path, str(tree).removeprefix(PREFIX)


def unknown(recipe: Recipe) -> list[str]:
    """Tell of references to needs that the recipe does not have."""
    return [
        f"{path}: '{PREFIX}{name}' is no need of this recipe; {nearest(name, recipe.needs)}"
        for path, name in references({**recipe.dump(), "needs": {}, "sample": {}})
        if name not in recipe.needs
    ]


def resolve(recipe: Recipe, folders: Mapping[str, Path], source: str) -> Recipe:
    """Put run folders in the places that refer to needs.

    Parameters
    ----------
    recipe
        Left as it is.
    folders
        Run folder of each need.
    source
        Names the recipe in errors.
    """

    def substitute(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {key: substitute(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [substitute(value) for value in tree]
        if isinstance(tree, str) and tree.startswith(PREFIX):
            return str(folders[tree.removeprefix(PREFIX)])
        return tree

    tree = recipe.dump()
    substituted = {
        key: value if key in ("needs", "sample") else substitute(value)
        for key, value in tree.items()
    }
    return parse_recipe(substituted, source)
