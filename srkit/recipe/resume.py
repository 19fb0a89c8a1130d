"""Which keys of a recipe may differ when a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from srkit.recipe.recipe import Recipe
from srkit.recipe.trees import flatten

#: Keys that may differ, since they do not affect the weights after a step.
RESUMABLE = (
    "best",
    "data.test",
    "data.validation",
    "description",
    "evaluation",
    "metrics",
    "repeat",
    "sample",
    "search",
    "training.checkpoint_activations",
    "training.duration",
    "training.workers",
    "training.log_every",
    "training.validate_every",
    "training.patience",
    "training.checkpoint_every",
    "training.keep_every",
    "training.trackers",
    "variants",
)


def changes(before: Mapping[str, Any], recipe: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the keys of which a recipe has another value than the one of a run, with both.

    Parameters
    ----------
    before
        The complete recipe of the run.
    recipe
        The recipe.
    """
    earlier, now = flatten(before), flatten(recipe.dump())
    if recipe.training.precision == "auto":  # that of the run, whichever device chose it
        now["training.precision"] = earlier.get("training.precision")
    return {
        key: (earlier.get(key), now.get(key))
        for key in sorted(earlier.keys() | now.keys())
        if earlier.get(key) != now.get(key)
    }


def refused(started: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """Return the problems of changes that a resumed run cannot make.

    It may have further teachers, which only metrics read.
    """
    read = {loss.teacher for loss in recipe.losses.values()}
    known = started.get("teachers", {})
    free = [
        *RESUMABLE,
        *(
            f"teachers.{name}"
            for name, teacher in recipe.teachers.items()
            if name not in known and name not in read and not teacher.trainable
        ),
    ]
    return [
        f"{key}: the run was started with {before!r}, not {now!r}; a resumed run cannot change it"
        for key, (before, now) in changes(started, recipe).items()
        if not any(key == each or key.startswith(f"{each}.") for each in free)
    ]


def report(changed: Mapping[str, tuple[Any, Any]], without: Sequence[str] = ()) -> list[str]:
    """Return a line for each change; `without` are keys that are left out, with those below."""
    return [
        _line(key, before, now)
        for key, (before, now) in changed.items()
        if not any(key == each or key.startswith(f"{each}.") for each in without)
    ]


def _line(key: str, before: Any, now: Any) -> str:
    if before is None:
        return f"set: {key} to {now!r}"
    if now is None:
        return f"removed: {key}, which was {before!r}"
    return f"changed: {key} from {before!r} to {now!r}"
