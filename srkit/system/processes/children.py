"""Run commands of srkit in processes of their own, a few at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from srkit.errors import OutputError
from srkit.system.processes.signals import gathered_signals

#: Seconds between two looks at the processes.
PAUSE = 0.1
#: Seconds that they get to save their state when something else went wrong.
GRACE = 20.0
#: The module that runs srkit while it holds a lock.
CHILD = "srkit.system.processes.child"


@dataclass(frozen=True, slots=True)
class Job:
    """A command.

    Parameters
    ----------
    name
        What it is called.
    arguments
        What follows ``srkit`` on the command line.
    output
        File for what it prints, written anew.
    lock
        Lock file that the process holds, also when this process is killed before it ends.
    """

    name: str
    arguments: Sequence[str]
    output: Path
    lock: Path


Child = subprocess.Popen[bytes]


def run_jobs(
    jobs: Iterator[Job],
    processes: int,
    *,
    ended: Callable[[Job, int], None],
    watch: Callable[[list[Job]], None],
) -> int:
    """Run all jobs, so many at a time; SIGINT and SIGTERM are handed on once, and nothing starts.

    Parameters
    ----------
    jobs
        The next one is asked for when there is room for it.
    processes
        How many may run at once.
    ended
        Called with a job that has ended and its exit status, unless a signal stopped it.
    watch
        Called with the running jobs, several times a second.

    Returns
    -------
    int
        The signal that came; 0 for none.
    """
    running: dict[int, tuple[Job, Child]] = {}
    with _nothing_left_of(running), gathered_signals() as received:
        handed_on = False
        while True:
            for slot in range(processes):
                job = None if received or slot in running else next(jobs, None)
                if job is not None:
                    running[slot] = job, _start(job, surroundings(slot, processes))
            if received and not handed_on:
                # Not where the signal is caught: a process that is just starting would miss it.
                handed_on = True
                for _, child in running.values():
                    child.send_signal(received[0])
            if not running:
                return received[0] if received else 0
            watch([job for job, _ in running.values()])
            time.sleep(PAUSE)
            for slot, (job, child) in list(running.items()):
                status = child.poll()
                if status is not None:
                    del running[slot]
                    if status == 0 or not received:
                        ended(job, status)


def surroundings(slot: int, processes: int) -> dict[str, str]:
    """Give the environment of one of several processes: its share of threads, and its GPU."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = given.split(",") if given else [str(i) for i in range(torch.cuda.device_count())]
    own = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if len(gpus) > 1 else {}
    return {"OMP_NUM_THREADS": str(threads), **os.environ, **own}


def _start(job: Job, environment: dict[str, str]) -> Child:
    command = [sys.executable, "-m", CHILD, str(job.lock), *job.arguments]
    try:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        with job.output.open("wb") as output:
            # In a session of its own: a terminal's Ctrl-C would reach it a second time.
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise OutputError(f"{job.output}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _nothing_left_of(running: dict[int, tuple[Job, Child]]) -> Iterator[None]:
    """End what still runs when this ends; it may save its state."""
    try:
        yield
    finally:
        for _, child in running.values():
            child.terminate()
        for _, child in running.values():
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
