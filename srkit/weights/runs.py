"""Run folders and the checkpoints in them."""

from __future__ import annotations

from pathlib import Path

from srkit.errors import TrainingError
from srkit.recipe.recipe import Recipe
from srkit.weights.checkpoints import read_state


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
    """Tell whether a run folder holds what a recipe trains, to its end.

    Raises
    ------
    TrainingError
        If it holds the run of another recipe.
    """
    last = folder / "checkpoints" / "last.safetensors"
    if not last.is_file():
        return False
    state = read_state(last)
    if state is None:
        raise TrainingError(f"{last}: no checkpoint of a run; choose another --out")
    if state["recipe"]["name"] != recipe.name:
        raise TrainingError(
            f"{folder}: holds a run of '{state['recipe']['name']}', not of '{recipe.name}'; "
            "choose another --out"
        )
    return bool(state["finished"])
