"""Variants of a recipe: what each one is called and changes."""

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

#: Keys that are about the whole sweep, and so the same for all variants.
COMMON = ("name", "extends", "needs", "sample", "variants", "repeat", "search")
#: Most variants that a problem names.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe's variant.

    Parameters
    ----------
    name
        What tables and folders call it.
    group
        The name without the axis over which variants are averaged.
    choices
        What was chosen on each axis.
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
    """Combine what a recipe's axes offer: every combination, the last axis changing fastest.

    An axis is a list of values of the key that it is named after, or a mapping from names to the
    changes that they stand for; a plain list of variants is one axis of that kind.

    Parameters
    ----------
    recipe
        With `variants`, and `repeat` where some are repetitions.
    source
        Names the recipe in errors.

    Raises
    ------
    RecipeError
        With everything that is wrong with the axes.
    """
    axes = {name: _choices(name, axis, recipe.variants) for name, axis in recipe.variants.items()}
    problems = [*_check_axes(recipe), *_check_labels(axes), *_check_keys(axes)]
    if recipe.repeat is not None and recipe.repeat not in axes:
        hint = nearest(recipe.repeat, axes)
        problems.append(f"repeat: '{recipe.repeat}' is no axis of the variants; {hint}")
    if problems:
        raise RecipeError(source, problems)
    variants = [_combine(recipe, chosen) for chosen in product(*axes.values())]
    counts = Counter(variant.name for variant in variants)
    if max(counts.values()) > 1:
        doubles = ", ".join(f"'{name}'" for name, count in counts.items() if count > 1)
        raise RecipeError(source, [f"variants: several are called {doubles}; choose other names"])
    return variants


def change(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Make changes to a tree as ``key=value`` does, and tell which cannot be made."""
    changed, problems = dict(tree), []
    for key, value in changes.items():
        try:
            changed = set_key(changed, key, value)
        except ValueError as error:
            problems.append(f"{key}: {error}")
    return changed, problems


def gather(problems: Mapping[str, Sequence[str]]) -> list[str]:
    """Tell each problem once, with the variants that have it unless all have.

    Parameters
    ----------
    problems
        By the name of the variant; all variants are there.
    """
    bearers: dict[str, list[str]] = {}
    for name, told in problems.items():
        for problem in told:
            bearers.setdefault(problem, []).append(name)
    return [
        problem if 1 < len(names) == len(problems) else f"{_enumerate(names)}: {problem}"
        for problem, names in bearers.items()
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
        if not isinstance(value, list | dict)  # these are told of
    ]


def _label(key: str, value: Any) -> str:
    """Call a text by itself, and a number with its key."""
    return value if isinstance(value, str) else f"{key}-{json.dumps(value)}"


def _check_axes(recipe: Recipe) -> Iterator[str]:
    if not recipe.variants:
        yield "variants: missing; a sweep needs some"
    for name, axis in recipe.variants.items():
        if not axis:
            yield f"variants.{name}: is empty; give it values, or take it out"
        elif isinstance(axis, list) and any(isinstance(value, list | dict) for value in axis):
            yield (
                f"variants.{name}: lists and mappings need names: NAME: {{{name}: VALUE}} for each"
            )


def _check_labels(axes: Mapping[str, Sequence[_Choice]]) -> Iterator[str]:
    for name, choices in axes.items():
        for label, count in Counter(choice.label for choice in choices).items():
            if count > 1:
                yield f"variants.{name}: '{label}' stands there {count} times"
            if not re.fullmatch(r"\w[\w.-]*", label):
                yield (
                    f"variants.{name}: '{label}' cannot name a folder; use a name of letters, "
                    "digits, _ . -, with the changes that it stands for"
                )


def _check_keys(axes: Mapping[str, Sequence[_Choice]]) -> Iterator[str]:
    setters: dict[str, list[str]] = {}
    for name, choices in axes.items():
        for key in dict.fromkeys(key for choice in choices for key in choice.changes):
            setters.setdefault(key, []).append(name)
    for key, names in setters.items():
        if key.partition(".")[0] in COMMON:
            yield f"variants.{names[0]}: '{key}' is the same for all variants; take it out"
        elif not all(key.split(".")):
            yield f"variants.{names[0]}: '{key}' is no key; expected one such as training.ema"
        elif len(names) > 1:
            yield f"variants: '{key}' is set by {' and by '.join(names)}; keep one of them"


def _combine(recipe: Recipe, chosen: Sequence[_Choice]) -> Variant:
    changes: dict[str, Any] = {}
    for choice in chosen:
        changes |= choice.changes
    lasting = [choice.label for choice in chosen if choice.axis != recipe.repeat]
    return Variant(
        name="_".join(choice.label for choice in chosen),
        group="_".join(lasting) or recipe.name,
        choices={choice.axis: choice.label for choice in chosen},
        changes=changes,
    )
