"""Needs: other recipes that have to be trained first, such as a classifier or initial weights.

A recipe lists them under `needs`. Anywhere else, ``needs.NAME`` refers to the run folder of that
recipe, and ``needs.NAME/checkpoints/last.safetensors`` to a file in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from srkit.errors import nearest
from srkit.recipe.recipe import Recipe, parse_recipe

PREFIX = "needs."


def references(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Iterate over ``(path, name)`` of all references to needs in a tree."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from references(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from references(value, f"{path}.{index}" if path else str(index))
    elif isinstance(tree, str | Path) and str(tree).startswith(PREFIX):
        yield path, _split(tree)[0]


def _split(reference: str | Path) -> tuple[str, str]:
    """Split a reference into the name of the need, and a path in its run folder, perhaps empty."""
    name, _, inside = Path(reference).as_posix().removeprefix(PREFIX).partition("/")
    return name, inside


def unknown(recipe: Recipe) -> list[str]:
    """Return the problems of references to unknown needs."""
    return [
        f"{path}: unknown need '{name}'; {nearest(name, recipe.needs)}"
        for path, name in references({**recipe.dump(), "needs": {}, "sample": {}})
        if name not in recipe.needs
    ]


def resolve(recipe: Recipe, folders: Mapping[str, Path], source: str) -> Recipe:
    """Return a recipe with references to needs replaced by run folders.

    Parameters
    ----------
    recipe
        The recipe, which stays unchanged.
    folders
        Run folder of each need.
    source
        Name of the recipe in errors.
    """

    def substitute(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {key: substitute(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [substitute(value) for value in tree]
        if isinstance(tree, str) and tree.startswith(PREFIX):
            name, inside = _split(tree)
            return str(folders[name] / inside)
        return tree

    tree = recipe.dump()
    kept = {key: tree[key] for key in ("needs", "sample")}
    return parse_recipe({**substitute(tree), **kept}, source)
