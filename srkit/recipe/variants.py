"""Variants of a recipe: their names and changes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from srkit.errors import RecipeError, nearest
from srkit.recipe.recipe import Recipe
from srkit.recipe.trees import set_key
from srkit.recipe.values import Axis
from srkit.system.files import is_file_name

#: Keys of the whole sweep, which are the same for all variants.
COMMON = ("name", "extends", "needs", "sample", "variants", "repeat", "search")
#: Largest number of variants that a problem names.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of a recipe.

    Parameters
    ----------
    name
        Name in tables and of folders.
    group
        The name without the axis over which results are averaged.
    choices
        The choice on each axis.
    changes
        Values by dotted key, in the order in which they are set.
    """

    name: str
    group: str
    choices: Mapping[str, str]
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Choice:
    axis: str
    label: str
    changes: Mapping[str, Any]


def expand(recipe: Recipe, source: str) -> list[Variant]:
    """Return all combinations of the choices on a recipe's axes, the last axis varying fastest.

    An axis is a list of values of the key that it is named after, or a mapping from names to the
    changes that they make.

    Parameters
    ----------
    recipe
        The recipe, with `variants` and, for repetitions, `repeat`.
    source
        Name of the recipe in errors.

    Raises
    ------
    RecipeError
        With all problems of the axes.
    """
    axes = {name: _choices(name, axis, recipe.variants) for name, axis in recipe.variants.items()}
    problems = [*_check_axes(recipe), *_check_labels(axes), *_check_keys(axes)]
    if recipe.repeat is not None and recipe.repeat not in axes:
        hint = nearest(recipe.repeat, axes)
        problems.append(f"repeat: unknown axis '{recipe.repeat}' of the variants; {hint}")
    if problems:
        raise RecipeError(source, problems)
    variants = [_combine(recipe, chosen) for chosen in product(*axes.values())]
    counts = Counter(variant.name for variant in variants)
    if max(counts.values()) > 1:
        doubles = ", ".join(f"'{name}'" for name, count in counts.items() if count > 1)
        raise RecipeError(source, [f"variants: repeated names {doubles}; choose other names"])
    return variants


def change(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Apply changes to a tree as ``key=value`` does; return it and the problems."""
    changed, problems = dict(tree), []
    for key, value in changes.items():
        try:
            changed = set_key(changed, key, value)
        except ValueError as error:
            problems.append(f"{key}: {error}")
    return changed, problems


def gather(problems: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each problem once, with the variants that have it unless all have it.

    Parameters
    ----------
    problems
        Problems of all variants, by name.
    """
    affected: dict[str, list[str]] = {}
    for name, found in problems.items():
        for problem in found:
            affected.setdefault(problem, []).append(name)
    return [
        problem if 1 < len(names) == len(problems) else f"{_enumerate(names)}: {problem}"
        for problem, names in affected.items()
    ]


def _enumerate(names: Sequence[str]) -> str:
    if len(names) <= NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _choices(name: str, axis: Axis, axes: Mapping[str, Axis]) -> list[_Choice]:
    if isinstance(axis, Mapping):
        return [_Choice(name, label, changes) for label, changes in axis.items()]
    short = name.rpartition(".")[2]
    alone = sum(other.rpartition(".")[2] == short for other in axes) == 1
    return [
        _Choice(name, _label(short if alone else name, value), {name: value})
        for value in axis
        if not isinstance(value, list | dict)  # which _check_axes reports
    ]


def _label(key: str, value: Any) -> str:
    """Return a text itself, or a number with its key."""
    return value if isinstance(value, str) else f"{key}-{json.dumps(value)}"


def _check_axes(recipe: Recipe) -> Iterator[str]:
    if not recipe.variants:
        yield "variants: missing; a sweep requires at least one axis"
    for name, axis in recipe.variants.items():
        if not axis:
            yield f"variants.{name}: is empty; add values or remove it"
        elif isinstance(axis, list) and any(isinstance(value, list | dict) for value in axis):
            yield (
                f"variants.{name}: lists and mappings require names; use NAME: {{{name}: VALUE}}"
            )


def _check_labels(axes: Mapping[str, Sequence[_Choice]]) -> Iterator[str]:
    for name, choices in axes.items():
        for label, count in Counter(choice.label for choice in choices).items():
            if count > 1:
                yield f"variants.{name}: '{label}' occurs {count} times"
            if not (re.fullmatch(r"\w[\w.-]*", label) and is_file_name(label)):
                yield (
                    f"variants.{name}: '{label}' cannot be used as a folder name; use a name of "
                    "letters, digits, _ . -, with the changes that it makes"
                )


def _check_keys(axes: Mapping[str, Sequence[_Choice]]) -> Iterator[str]:
    setters: dict[str, list[str]] = {}
    for name, choices in axes.items():
        for key in dict.fromkeys(key for choice in choices for key in choice.changes):
            setters.setdefault(key, []).append(name)
    for key, names in setters.items():
        if key.partition(".")[0] in COMMON:
            yield f"variants.{names[0]}: '{key}' must be the same for all variants; remove it"
        elif not all(key.split(".")):
            yield f"variants.{names[0]}: '{key}' is not a key; expected one such as training.ema"
        elif len(names) > 1:
            yield f"variants: '{key}' is set by {' and by '.join(names)}; remove all but one"


def _combine(recipe: Recipe, chosen: Sequence[_Choice]) -> Variant:
    changes: dict[str, Any] = {}
    for choice in chosen:
        changes |= choice.changes
    kept = [choice.label for choice in chosen if choice.axis != recipe.repeat]
    return Variant(
        name="_".join(choice.label for choice in chosen),
        group="_".join(kept) or recipe.name,
        choices={choice.axis: choice.label for choice in chosen},
        changes=changes,
    )
