"""The folder of a run: its lock, its recipe, and the circumstances of its start."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from accelerate import PartialState

from srkit.assembly.assembly import Assembly
from srkit.errors import TrainingError
from srkit.recipe.recipe import Recipe
from srkit.system.files import write_file
from srkit.system.folders import LOCK, contains_files
from srkit.system.locks import locked
from srkit.weights.checkpoints import LIBRARIES
from srkit.weights.runs import ENVIRONMENT, is_run


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Lock a run folder, so that a single process writes to it; remove it if it stays empty.

    Raises
    ------
    TrainingError
        If another process trains in it.
    """
    busy = TrainingError(f"{folder}: another process is training here; wait until it ends")
    try:
        with locked(folder / LOCK, busy):
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def open_folder(
    folder: Path,
    assembly: Assembly,
    process: PartialState,
    overlaps: Sequence[str] = (),
    *,
    resume: bool,
) -> None:
    """Write everything that is needed to repeat the run to its folder.

    Parameters
    ----------
    folder
        The run folder.
    assembly, process
        The built components, and this process.
    overlaps
        Lines about images that overlap those of another split.
    resume
        Whether the folder may contain files.

    Raises
    ------
    TrainingError
        If the folder contains files, unless a run is resumed.
    """
    if not resume and folder.is_dir() and contains_files(folder):
        raise TrainingError(
            f"{folder}: already contains a run; continue it with --resume or choose another --out"
            if is_run(folder)
            else f"{folder}: contains files that srkit train did not write; choose another --out"
        )
    process.wait_for_everyone()  # all have looked before one writes
    if not process.is_main_process:
        return
    environment = {
        "command": sys.argv,
        "seed": assembly.recipe.seed,
        "git": git_state(),
        "versions": versions(assembly),
        "platform": platform.platform(),
        "device": str(process.device),
        "processes": process.num_processes,
        "overlaps": list(overlaps),
    }
    write_file(folder / ENVIRONMENT, json.dumps(environment, indent=2))
    write_recipe(folder, assembly.recipe)


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write the complete recipe of a run to its folder."""
    text = yaml.safe_dump(recipe.dump(), sort_keys=False, allow_unicode=True)
    write_file(folder / "recipe.yaml", text)


def versions(assembly: Assembly) -> dict[str, str]:
    """Return the versions of Python, the libraries and the distributions of the plugins."""
    found = {"python": platform.python_version()}
    return found | assembly.distributions | {name: version(name) for name in LIBRARIES}


def git_state() -> dict[str, Any] | None:
    """Return the commit of the working folder and whether it is changed; None without git."""
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain"])
    try:
        commit, status = (
            subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "changed": bool(status.strip())}
