"""Recipes and options as plain trees: merged, overridden by ``key=value``, flattened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from srkit.errors import RecipeError
from srkit.recipe.yaml_loader import parse_yaml


def merge(base: Any, change: Any) -> Any:
    """Lay one tree over another: mappings merge, everything else is replaced.

    A component whose `type` changes is replaced whole, since its options are another's.
    """
    if not (isinstance(base, Mapping) and isinstance(change, Mapping)):
        return change
    if "type" in change and "type" in base and change["type"] != base["type"]:
        return dict(change)
    return {**base, **{key: merge(base.get(key), value) for key, value in change.items()}}


def override(tree: Mapping[str, Any], overrides: Sequence[str], source: str) -> dict[str, Any]:
    """Change a tree by ``key=value`` each, as :func:`srkit.recipe.recipe.load_recipe` takes them.

    Raises
    ------
    RecipeError
        With every override that cannot be read; `source` names the recipe in it.
    """
    problems = []
    for text in overrides:
        try:
            tree = _override(tree, text)
        except ValueError as error:
            problems.append(f"{text}: {error}")
    if problems:
        raise RecipeError(source, problems)
    return dict(tree)


def _override(tree: Mapping[str, Any], text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key or not all(key.split(".")):
        raise ValueError("expected key=value, such as training.batch_size=8")
    try:
        change = parse_yaml(value)
    except ValueError:
        raise ValueError(f"'{value}' is not YAML; quote it") from None
    return set_key(tree, key, change)


def set_key(tree: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Copy a tree with the value at a dotted path replaced, or merged where it is a mapping.

    Raises
    ------
    ValueError
        If the path leads through a single value or past the end of a list.
    """
    return _set(tree, key.split("."), value)  # type: ignore[no-any-return]


def _set(node: Any, keys: Sequence[str], value: Any) -> Any:
    """Copy `node` with the value at the path `keys` replaced; mappings appear as needed."""
    if not keys:
        return merge(node, value)
    head, rest = keys[0], keys[1:]
    if isinstance(node, list):
        if not head.isdecimal() or int(head) >= len(node):
            raise ValueError(f"'{head}' is no item of a list of {len(node)}")
        return [_set(item, rest, value) if i == int(head) else item for i, item in enumerate(node)]
    if node is not None and not isinstance(node, Mapping):
        raise ValueError(f"'{head}' lies inside a single value, {node!r}")
    node = dict(node or {})
    changed = {head: _set(node.get(head), rest, value)}
    return merge(node, changed) if head == "type" else {**node, **changed}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name every value of a tree by its dotted path."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
