"""Consoles and progress bars."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def new_console(*, stderr: bool = False) -> Console:
    """Return a console for tables and progress.

    A command in a cell of a notebook, such as ``!srkit train``, seems to have a terminal, but the
    cell cannot redraw lines; it prints what it would print to a file.

    Parameters
    ----------
    stderr
        Print to standard error, since standard output is for the result.
    """
    in_cell = "JPY_PARENT_PID" in os.environ and "ipykernel" not in sys.modules
    return Console(stderr=stderr, force_terminal=False if in_cell else None)


def progress_bars(
    console: Console | None = None, *, unit: Literal["items", "bytes"] = "items"
) -> Progress:
    """Return progress bars for terminals and notebooks, which disappear at the end.

    Parameters
    ----------
    console
        Where to show them; by default on standard error.
    unit
        What is counted.

    Returns
    -------
    rich.progress.Progress
        A context manager; see its methods ``track``, ``add_task``, ``advance`` and ``update``.
    """
    console = console or new_console(stderr=True)
    in_notebook = console.is_jupyter and find_spec("ipywidgets") is not None
    counts = (DownloadColumn(), TransferSpeedColumn())
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(counts if unit == "bytes" else (MofNCompleteColumn(),)),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (console.is_terminal or in_notebook),
    )
