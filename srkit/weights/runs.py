"""Run folders and the checkpoints in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srkit.errors import TrainingError, WeightsError
from srkit.recipe.recipe import Recipe
from srkit.system.untrusted import parse_json
from srkit.weights.checkpoints import read_state

#: The first file of a run: how it was started, and with which versions.
ENVIRONMENT = "environment.json"


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run, rather than that of the user's own files."""
    return {"command", "seed", "versions"} <= _environment(folder).keys()


def overlaps_of_run(folder: Path) -> list[str]:
    """Return lines about images of a run's data that overlap those of another split."""
    return [str(line) for line in _environment(folder).get("overlaps", [])]


def _environment(folder: Path) -> dict[str, Any]:
    """Return how a run was started; empty if the folder is not that of a run."""
    try:
        environment = parse_json((folder / ENVIRONMENT).read_bytes())
    except (OSError, ValueError):
        return {}
    return environment if isinstance(environment, dict) else {}


def checkpoint_of(run: Path) -> Path:
    """Return the checkpoint of a run folder: the best, or else the last.

    Raises
    ------
    WeightsError
        If there is neither.
    """
    found = [run / "checkpoints" / f"{name}.safetensors" for name in ("best", "last")]
    for path in found:
        if path.is_file():
            return path
    raise WeightsError(
        f"{run}: no checkpoint in this folder; expected {found[0]} or {found[1].name}"
    )


def name_of_run(path: Path) -> str:
    """Return the name by which tables call a run folder or a checkpoint.

    A checkpoint in a run folder is named after its run, since many are called ``best``.
    """
    path = path.resolve()
    if path.is_dir():
        return path.name
    if path.parent.name == "checkpoints":
        return f"{path.parent.parent.name}/{path.stem}"
    return path.stem


def is_trained(folder: Path, recipe: Recipe) -> bool:
    """Return whether a run folder contains a finished run of a recipe.

    Raises
    ------
    TrainingError
        If it contains the run of another recipe.
    """
    last = folder / "checkpoints" / "last.safetensors"
    if not last.is_file():
        return False
    state = read_state(last)
    if state is None:
        raise TrainingError(f"{last}: not a checkpoint of a run; choose another --out")
    if state["recipe"]["name"] != recipe.name:
        raise TrainingError(
            f"{folder}: contains a run of '{state['recipe']['name']}', not of '{recipe.name}'; "
            "choose another --out"
        )
    return bool(state["finished"])
