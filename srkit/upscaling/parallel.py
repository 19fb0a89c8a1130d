"""Restore files, or the windows of one frame, in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeVar

from rich.console import Console

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import ImageFile
from srkit.images.limits import allow
from srkit.interfaces import WindowedFormat
from srkit.system.processes.pool import DIED_TWICE, Pool, Setup, in_order, run_in_pool
from srkit.system.progress import progress_bars
from srkit.upscaling.files import FileResult, FileUpscaler, Summary
from srkit.upscaling.frames.geometry import Window
from srkit.upscaling.frames.statistics import FrameStatistics
from srkit.upscaling.frames.windows import Fitted, FrameUpscaler, RestoredWindow
from srkit.upscaling.jobs import Job
from srkit.upscaling.request import Request

#: Windows that each process may be ahead of the next one to be written.
AHEAD = 2
Item = TypeVar("Item")


def share_of(items: Sequence[Item]) -> list[Item]:
    """Select the share of this process if torchrun or `accelerate launch` started several.

    If a process dies, all are started again: existing outputs are skipped.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    return list(items[rank::world])


def share_files(
    jobs: Sequence[Job], setup: Setup[Job, FileResult], pool: Pool, console: Console
) -> Summary:
    """Restore files in several processes, even if some files fail or a process dies.

    Parameters
    ----------
    jobs
        The files.
    setup
        Opens the models in each process, as :func:`open_files` does.
    pool
        The processes.
    console
        Shows progress, messages and errors.

    Returns
    -------
    Summary
        The results; a file during which two processes died has failed.
    """
    summary = Summary()
    with progress_bars(console) as bars, closing(run_in_pool(jobs, pool, setup)) as shared:
        bar = bars.add_task("files", total=len(jobs))
        for done in shared:
            job = done.item
            text = f"{job}: {DIED_TWICE}; restore it alone with --processes 1"
            summary.add(job, done.result or FileResult(failure=text), console)
            bars.advance(bar)
    return summary


@contextmanager
def open_files(request: Request, device: str | None) -> Iterator[Callable[[Job], FileResult]]:
    """Open the models in a process, to restore files."""
    upscalers = request.open(Registry.discover(), device)
    upscaler = FileUpscaler(upscalers, overwrite=request.overwrite, metadata=request.metadata)
    with allow(request.max_input):
        yield lambda job: next(upscaler.results([job]))


def share_windows(
    request: Request, pool: Pool, file: ImageFile, frame: FrameUpscaler, windows: Sequence[Window]
) -> Generator[RestoredWindow, None, None]:
    """Restore windows of a frame in several processes, in their order.

    Raises
    ------
    DataError
        If two processes died during the same window.
    """
    setup = partial(open_windows, request, file, frame.known, frame.side, frame.fitted)
    shared = run_in_pool(windows, pool, setup, AHEAD * pool.count)
    with closing(shared):
        for done in in_order(shared):
            if done.result is None:
                rows, columns = done.item
                raise DataError(
                    f"{file.path}: rows {rows[0]} to {rows[1]} and columns {columns[0]} to "
                    f"{columns[1]} of SR: {DIED_TWICE}; use a smaller --tile, or --processes 1"
                )
            yield done.result


@contextmanager
def open_windows(
    request: Request,
    file: ImageFile,
    known: FrameStatistics,
    side: int,
    fitted: Fitted,
    device: str | None,
) -> Iterator[Callable[[Window], RestoredWindow]]:
    """Open a frame and the model in a process, to restore windows.

    Parameters
    ----------
    request, file
        The request, and the file of the frame.
    known, side, fitted
        As :class:`srkit.upscaling.frames.windows.FrameUpscaler` has them.
    device
        Where to compute.
    """
    assert isinstance(file.format, WindowedFormat)
    source = file.format.open_source(file.path)
    assert source is not None  # the first process opened it, too
    with closing(source):
        upscaler = request.open(Registry.discover(), device).for_image(source.outline)
        yield FrameUpscaler(
            upscaler, source, file.format, request.metadata, known, side, fitted
        ).restore
