"""Run commands of srkit in child processes: several jobs, or one command in several ranks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srkit.errors import OutputError
from srkit.system.processes.signals import deferred_signals

#: Seconds between two checks of the processes.
PAUSE = 0.1
#: Seconds that processes get to end by themselves when they are to stop, or when one has failed.
GRACE = 20.0
#: The module that runs srkit while it holds a lock.
CHILD = "srkit.system.processes.child"

Child = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Job:
    """A command that is run in a process of its own.

    Parameters
    ----------
    name
        Name of the job.
    arguments
        What follows ``srkit`` on the command line.
    output
        File for what it prints; an existing one is replaced.
    lock
        Lock file that the process holds, also when this process is killed before it ends.
    """

    name: str
    arguments: Sequence[str]
    output: Path
    lock: Path


def run_jobs(
    jobs: Iterator[Job],
    processes: int,
    *,
    ended: Callable[[Job, int], None],
    watch: Callable[[list[Job]], None],
) -> int:
    """Run all jobs, several at a time; after SIGINT or SIGTERM, stop them and start no others.

    Parameters
    ----------
    jobs
        The next one is requested when a process is free.
    processes
        How many run at once.
    ended
        Called with a job that has ended and its exit status, unless a signal stopped it.
    watch
        Called with the running jobs, several times a second.

    Returns
    -------
    int
        The signal that was received; 0 for none.
    """
    running: dict[int, tuple[Job, Child]] = {}
    with _stopped_at_the_end(running), deferred_signals() as received:
        forwarded = False
        while True:
            for slot in range(processes):
                job = None if received or slot in running else next(jobs, None)
                if job is not None:
                    running[slot] = job, _start_job(job, environment_of(slot, processes))
            if received and not forwarded:
                # Not in the signal's handler: a process that is just starting would miss it.
                forwarded = True
                _forward(received[0], [child for _, child in running.values()])
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


def environment_of(slot: int, processes: int) -> dict[str, str]:
    """Return the environment of one of several processes: its share of threads, and its GPU."""
    import torch  # only here: `first_process` is also asked by commands that need no torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = given.split(",") if given else [str(i) for i in range(torch.cuda.device_count())]
    own = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if len(gpus) > 1 else {}
    return {**_threads(processes), **os.environ, **own}


def _threads(processes: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes))}


def _start_job(job: Job, environment: dict[str, str]) -> Child:
    command = [CHILD, str(job.lock), *job.arguments]
    try:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        with job.output.open("wb") as output:
            return _start(
                command, environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
    except OSError as error:
        raise OutputError(f"{job.output}: cannot be written ({error.strerror or error})") from error


def _start(command: Sequence[str], environment: Mapping[str, str], **streams: Any) -> Child:
    """Run a module in a session of its own: it would receive a terminal's Ctrl-C twice.

    Windows has no sessions, and `_forward` does nothing there.
    """
    command = [sys.executable, "-m", *command]
    environment = {**environment, "PYTHONIOENCODING": "utf-8"}  # logs are read as UTF-8
    return subprocess.Popen(command, env=environment, start_new_session=True, **streams)


def _forward(number: int, children: Iterable[Child]) -> None:
    """Forward a signal to processes; on Windows they have received the Ctrl-C of their console."""
    if sys.platform != "win32":
        for child in children:
            child.send_signal(number)


@contextmanager
def _stopped_at_the_end(running: dict[int, tuple[Job, Child]]) -> Iterator[None]:
    """Stop the processes that are still running at the end; they may save their state."""
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


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run one command in several processes, which torch and Accelerate let work together.

    SIGINT and SIGTERM are forwarded to them.

    Parameters
    ----------
    processes
        How many; each finds its rank in the environment.
    arguments
        What follows ``srkit`` on the command line.

    Returns
    -------
    int
        The exit status: 0, or that of the first process that failed.
    """
    environment = {
        **_threads(processes),
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
    }
    children: list[Child] = []
    with deferred_signals() as received:
        try:
            for rank in map(str, range(processes)):
                ranks = {"RANK": rank, "LOCAL_RANK": rank}
                children.append(_start(["srkit", *arguments], {**environment, **ranks}))
            return _wait(children, received)
        finally:
            for child in children:
                child.kill()
                child.wait()


def _wait(children: Sequence[Child], received: Sequence[int]) -> int:
    """Wait for all processes, or for `GRACE` after the first failure; return its exit status."""
    first, deadline, forwarded = 0, float("inf"), False
    while True:
        if received and not forwarded:
            forwarded = True
            _forward(received[0], children)
        statuses = [child.poll() for child in children]
        if not first and any(statuses):
            first = next(status for status in statuses if status)
            deadline = time.monotonic() + GRACE
        if None not in statuses or time.monotonic() > deadline:
            return 128 - first if first < 0 else first
        time.sleep(PAUSE)


def launched() -> bool:
    """Return whether this is one of several processes that were started together."""
    return "LOCAL_RANK" in os.environ


def first_process() -> bool:
    """Return whether this is the first of several processes, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def free_port() -> int:
    """Return a port of this machine that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
