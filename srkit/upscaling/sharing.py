"""Restore files, or the windows of one frame, in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.images.limits import allow
from srkit.interfaces import WindowedFormat
from srkit.system.processes.pool import DIED_TWICE, Pool, in_order, run_in_pool
from srkit.system.progress import progress_bars
from srkit.upscaling.defaults import DefaultUpscalers, upscalers_of
from srkit.upscaling.files import Attempt, Given, Job, Outcome, attempts
from srkit.upscaling.frames.survey import Survey
from srkit.upscaling.frames.windows import Fitted, FrameUpscaler, RestoredWindow, Window
from srkit.upscaling.sizing import Size, Upscalers

#: Windows that each process may be ahead of the one that is due to be written.
AHEAD = 2
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Work:
    """How files are restored; each process opens the model for itself.

    Parameters
    ----------
    reference
        The model; None takes the default ones.
    size
        How large SR is to be.
    settings
        Of the upscalers.
    overwrite
        Whether to replace outputs that are there.
    metadata
        What the user says of all images in place of their files.
    max_input
        Largest compressed picture, in millions of pixels.
    """

    reference: str | None
    size: Size
    settings: Mapping[str, Any]
    overwrite: bool
    metadata: Mapping[str, Any]
    max_input: float

    def upscalers(self, registry: Registry, device: str | None) -> Upscalers | DefaultUpscalers:
        """Open the upscalers on a device."""
        placed = {**self.settings, **({"device": device} if device else {})}
        return upscalers_of(self.reference, registry, self.size, **placed)

    @contextmanager
    def open(self, device: str | None) -> Iterator[Callable[[Job], Attempt]]:
        """Open what restores files in a process of its own."""
        registry = Registry.discover()
        upscalers, formats = self.upscalers(registry, device), Formats.of(registry)
        with allow(self.max_input):
            given = Given(upscalers, formats, self.overwrite, self.metadata)
            yield lambda job: next(attempts([job], given))


def share_of(items: Sequence[Item]) -> list[Item]:
    """Take this process' part where torchrun or `accelerate launch` started several, on any hosts.

    A process that died is redone by starting all of them again: what is there is skipped.
    """
    return list(items[int(os.environ.get("RANK", 0)) :: int(os.environ.get("WORLD_SIZE", 1))])


def share_files(jobs: Sequence[Job], work: Work, pool: Pool, console: Console) -> Outcome:
    """Restore files in several processes; go on where one fails or a process dies.

    Parameters
    ----------
    jobs
        From :func:`srkit.upscaling.files.plan`.
    work
        How they are restored.
    pool
        The processes.
    console
        Where to show progress, notes and failures.

    Returns
    -------
    Outcome
        What became of the files; one of which two processes died has failed.
    """
    outcome = Outcome()
    with progress_bars(console) as bars, closing(run_in_pool(jobs, pool, work.open)) as shared:
        bar = bars.add_task("files", total=len(jobs))
        for done in shared:
            job = done.item
            text = f"{job}: {DIED_TWICE}; restore it alone, --processes 1"
            outcome.add(job, done.result or Attempt(failure=text), console)
            bars.advance(bar)
    return outcome


@dataclass(frozen=True, slots=True)
class SharedWindows:
    """Restores the windows of a frame in several processes.

    Parameters
    ----------
    work
        How they are restored.
    pool
        The processes.
    """

    work: Work
    pool: Pool

    def __call__(
        self, path: Path, frame: FrameUpscaler, windows: Sequence[Window]
    ) -> Generator[RestoredWindow, None, None]:
        """Restore windows of the frame of a file, in their order.

        Raises
        ------
        DataError
            If two processes died of one.
        """
        task = WindowWork(self.work, path, frame.known, frame.side, frame.fitted)
        shared = run_in_pool(windows, self.pool, task.open, AHEAD * self.pool.count)
        with closing(shared):
            for done in in_order(shared):
                if done.result is None:
                    rows, columns = done.item
                    raise DataError(
                        f"{path}: rows {rows[0]} to {rows[1]} and columns {columns[0]} to "
                        f"{columns[1]} of SR: {DIED_TWICE}; take a smaller --tile, or --processes 1"
                    )
                yield done.result


@dataclass(frozen=True, slots=True)
class WindowWork:
    """How the windows of a frame are restored in a process of its own.

    Parameters
    ----------
    work
        As for files.
    source
        The frame.
    known, side, fitted
        As :class:`srkit.upscaling.frames.windows.FrameUpscaler` takes them.
    """

    work: Work
    source: Path
    known: Survey
    side: int
    fitted: Fitted

    @contextmanager
    def open(self, device: str | None) -> Iterator[Callable[[Window], RestoredWindow]]:
        """Open the frame and what restores it."""
        registry = Registry.discover()
        reader = Formats.of(registry).of_path(self.source)
        assert isinstance(reader, WindowedFormat)
        source = reader.open_source(self.source)
        assert source is not None  # it was opened before
        try:
            upscaler = self.work.upscalers(registry, device).for_image(source.outline)
            metadata = self.work.metadata
            yield FrameUpscaler(
                upscaler, source, reader, metadata, self.known, self.side, self.fitted
            ).restore
        finally:
            source.close()
