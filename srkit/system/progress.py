"""Progress bars."""

from __future__ import annotations

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


def progress_bars(
    console: Console | None = None, *, unit: Literal["items", "bytes"] = "items"
) -> Progress:
    """Return progress bars, which are shown on terminals only and disappear at the end.

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
    console = console or Console(stderr=True)
    counts = (DownloadColumn(), TransferSpeedColumn())
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(counts if unit == "bytes" else (MofNCompleteColumn(),)),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
