"""Which keys of a recipe may differ when a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from srkit.recipe.recipe import Recipe
from srkit.recipe.trees import flatten

#: Keys that may differ, since they do not affect the weights after a step.
RESUMABLE = (
    "description",
    "evaluation",
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


def changed_since(started: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """Return the problems of keys that differ from `started`, the complete recipe of the run."""
    before, now = flatten(started), flatten(recipe.dump())
    if recipe.training.precision == "auto":  # that of the run, whichever device chose it
        now["training.precision"] = before.get("training.precision")
    return [
        f"{key}: the run was started with {before.get(key)!r}, not {now.get(key)!r}; a resumed run "
        "cannot change it"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
        and not any(key == free or key.startswith(f"{free}.") for free in RESUMABLE)
    ]
