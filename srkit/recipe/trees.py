"""Trees of recipes and options: merging, overriding by ``key=value``, flattening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from srkit.errors import RecipeError
from srkit.recipe.yaml_loader import parse_yaml

T = TypeVar("T")


def merge(base: Any, change: Any) -> Any:
    """Apply the changes of one tree to another: mappings are merged, other values replaced.

    A component whose `type` changes is replaced as a whole, since its options differ. So is one
    data set by several, and several by one.
    """
    if not (isinstance(base, Mapping) and isinstance(change, Mapping)):
        return change
    if (has_sets(base) and "dataset" in change) or ("dataset" in base and has_sets(change)):
        return dict(change)
    if "type" in change and "type" in base and change["type"] != base["type"]:
        return dict(change)
    return {**base, **{key: merge(base.get(key), value) for key, value in change.items()}}


def has_sets(tree: Any) -> bool:
    """Return whether a tree has data sets by name, as `data.test` may, and is not one itself."""
    return (
        isinstance(tree, Mapping)
        and "dataset" not in tree
        and any(
            isinstance(entry, Mapping) and "dataset" in entry
            for name, entry in tree.items()
            if name != "mix"  # of a data set that is changed
        )
    )


def below(entries: Mapping[str, T], path: str) -> dict[str, T]:
    """Return the entries whose dotted path is `path` or begins with it."""
    return {key: each for key, each in entries.items() if f"{key}.".startswith(f"{path}.")}


def override(tree: Mapping[str, Any], overrides: Sequence[str], source: str) -> dict[str, Any]:
    """Apply overrides to a tree, see :func:`srkit.recipe.recipe.load_recipe`.

    Raises
    ------
    RecipeError
        With all overrides that cannot be applied; `source` names the recipe.
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
    except ValueError as error:
        raise ValueError(f"'{value[:80]}' is not YAML ({error}); quote it") from None
    return set_key(tree, key, change)


def set_key(tree: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a copy of a tree with the value at a dotted path replaced, or merged if a mapping.

    Raises
    ------
    ValueError
        If the path leads into a single value or beyond the end of a list.
    """
    return _set(tree, key.split("."), value)  # type: ignore[no-any-return]


def _set(node: Any, keys: Sequence[str], value: Any) -> Any:
    """Return a copy of `node` with the value at the path `keys`; mappings are added as needed."""
    if not keys:
        return merge(node, value)
    head, rest = keys[0], keys[1:]
    if isinstance(node, list):
        if not head.isdecimal() or int(head) >= len(node):
            raise ValueError(f"'{head}' is not an index of a list of {len(node)}")
        return [_set(item, rest, value) if i == int(head) else item for i, item in enumerate(node)]
    if node is not None and not isinstance(node, Mapping):
        raise ValueError(f"'{head}' cannot be set in the value {node!r}")
    node = dict(node or {})
    changed = {head: _set(node.get(head), rest, value)}
    return merge(node, changed) if head == "type" else {**node, **changed}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return all values of a tree by their dotted paths."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
