"""Run this same command in several processes on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

#: Seconds that the others get to end by themselves once one process has failed.
GRACE = 20.0


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Start the processes, hand SIGINT and SIGTERM on to them once, and wait for their end.

    Parameters
    ----------
    processes
        How many; each finds its rank in the environment, as torch and accelerate expect it.
    arguments
        What follows ``srkit`` on the command line.

    Returns
    -------
    int
        The exit status: 0, or that of the first process that failed.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }
    children: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hand_on)
    try:
        for rank in range(processes):
            environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            # In sessions of their own: a terminal's Ctrl-C would reach them a second time.
            command = [sys.executable, "-m", "srkit", *arguments]
            children.append(subprocess.Popen(command, env=environment, start_new_session=True))
        return _wait(children)
    finally:
        for child in children:
            child.kill()
            child.wait()


def launched() -> bool:
    """Tell whether this is one of several processes that were started together."""
    return "LOCAL_RANK" in os.environ


def first_process() -> bool:
    """Tell whether this is the first of several processes, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all, or for some time after the first failure, whose status is given."""
    first, deadline = 0, float("inf")
    while True:
        statuses = [child.poll() for child in children]
        if not first and any(statuses):
            first = next(status for status in statuses if status)
            deadline = time.monotonic() + GRACE
        if None not in statuses or time.monotonic() > deadline:
            return 128 - first if first < 0 else first
        time.sleep(0.05)
