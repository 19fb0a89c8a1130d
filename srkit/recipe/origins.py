"""Which file of those that a recipe extends sets what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srkit.errors import RecipeError
from srkit.recipe.yaml_loader import parse_yaml


def located(error: RecipeError) -> RecipeError:
    """Name the file beside each problem whose key an extended recipe sets, not the recipe itself.

    Parameters
    ----------
    error
        Its source is the recipe's file, else it is given back as it is.
    """
    chain = _chain(Path(error.source))
    problems = [_with_file(problem, chain) for problem in error.problems]
    return RecipeError(error.source, problems, error.rest)


def _chain(path: Path) -> list[tuple[Path, Mapping[str, Any]]]:
    """Read a recipe and what it extends, the recipe first; stop at what cannot be read."""
    chain: list[tuple[Path, Mapping[str, Any]]] = []
    while path not in [read for read, _ in chain]:
        try:
            tree = parse_yaml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            break
        if not isinstance(tree, Mapping):
            break
        chain.append((path, tree))
        if not isinstance(tree.get("extends"), str):
            break
        path = path.parent / tree["extends"]
    return chain


def _with_file(problem: str, chain: list[tuple[Path, Mapping[str, Any]]]) -> str:
    keys = problem.partition(":")[0].split(".")
    for number, (path, tree) in enumerate(chain):
        if _sets(tree, keys) or _sets(tree.get("sample"), keys):
            return problem if number == 0 else f"{problem} (set in {path})"
    return problem


def _sets(tree: Any, keys: list[str]) -> bool:
    """Tell whether a tree has a value at a path."""
    for key in keys:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True
