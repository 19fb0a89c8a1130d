"""Restore files in several processes: each file once, and again where a process died."""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from types import FrameType
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from srkit.defaults import upscalers_of
from srkit.formats import Formats
from srkit.limits import allow
from srkit.registry import Registry
from srkit.sizing import Size
from srkit.upscale_files import Attempt, Job, Outcome, attempt

#: How often a process may die of a file before that is given up.
DEATHS = 2
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


def share_of(items: Sequence[Item]) -> list[Item]:
    """Take this process' part where torchrun or `accelerate launch` started several, on any hosts.

    A process that died is redone by starting all of them again: what is there is skipped.
    """
    rank, world = (int(os.environ.get(name, at)) for name, at in (("RANK", 0), ("WORLD_SIZE", 1)))
    return list(items[rank::world])


def share_files(jobs: Sequence[Job], work: Work, processes: int, console: Console) -> Outcome:
    """Restore files in processes of this machine; go on where one fails or a process dies.

    Parameters
    ----------
    jobs
        From :func:`srkit.upscale_files.plan`.
    work
        How they are restored.
    processes
        How many; they share the cores, and take the GPUs in turn.
    console
        Where to show progress, notes and failures.

    Returns
    -------
    Outcome
        What became of the files; one of which two processes died has failed.
    """
    outcome, deaths, waiting = Outcome(), Counter[Job](), deque(jobs)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    workers = [_Worker(work, rank, processes) for rank in range(min(processes, len(jobs)))]
    try:
        with progress:
            task = progress.add_task("files", total=len(jobs))
            while waiting or any(worker.job for worker in workers):
                for worker in workers:
                    if worker.job is None and waiting:
                        worker.give(waiting.popleft())
                for worker in _that_are_done(workers):
                    job, found = worker.take()
                    if found is None:
                        deaths[job] += 1
                        worker.start()
                        if deaths[job] < DEATHS:
                            waiting.appendleft(job)
                            continue
                        text = "its process died twice, perhaps for want of memory"
                        found = Attempt(failure=f"{job}: {text}; restore it alone, --processes 1")
                    outcome.add(job, found, console)
                    progress.advance(task)
    finally:
        for worker in workers:
            worker.end()
    return outcome


class _Worker:
    """A process that restores one file after another."""

    context: SpawnContext = get_context("spawn")  # a fork would copy the locks of torch's threads

    def __init__(self, work: Work, rank: int, processes: int) -> None:
        self._arguments = work, rank, processes
        self.job: Job | None = None
        self.start()

    def start(self) -> None:
        """Start the process, also in place of one that died."""
        self.pipe, theirs = self.context.Pipe()
        self._process = self.context.Process(
            target=serve, args=(theirs, *self._arguments), daemon=True
        )
        self._process.start()
        theirs.close()  # so that its death ends the pipe

    def give(self, job: Job) -> None:
        """Let it restore a file."""
        self.job = job
        with suppress(OSError):  # it died; taking the answer tells
            self.pipe.send(job)

    def take(self) -> tuple[Job, Attempt | None]:
        """Wait for what became of its file; None if it died."""
        job, self.job = self.job, None
        assert job is not None
        try:
            found: Attempt = self.pipe.recv()
        except (EOFError, OSError):
            return job, None
        return job, found

    def end(self) -> None:
        """End the process; what it is at is given up, and leaves nothing behind."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _that_are_done(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait until a worker has an answer, or died."""
    ready = wait([worker.pipe for worker in workers if worker.job is not None])
    return [worker for worker in workers if worker.job is not None and worker.pipe in ready]


def serve(pipe: Connection[Attempt, Job], work: Work, rank: int, processes: int) -> None:
    """Restore the files that come through a pipe, until it ends; runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    signal.signal(signal.SIGTERM, _leave)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    registry, settings = Registry.discover(), dict(work.settings)
    if torch.cuda.is_available():
        settings["device"] = f"cuda:{rank % torch.cuda.device_count()}"
    upscalers = upscalers_of(work.reference, registry, work.size, **settings)
    formats = Formats.of(registry)
    with allow(work.max_input):
        while True:
            try:
                job = pipe.recv()
            except EOFError:
                return
            found = attempt(
                job, upscalers, formats, overwrite=work.overwrite, metadata=work.metadata
            )
            pipe.send(found)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
