"""Receive SIGINT and SIGTERM without being interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any

#: The signals that ask a process to end.
STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Record SIGINT and SIGTERM instead of acting on them; a second one acts at once.

    Only the main thread can handle signals; in other threads, none are recorded.

    Yields
    ------
    list of int
        The signals received so far, to be checked from time to time.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def record(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {n: signal.getsignal(n) for n in STOPPING}
    for number in before:
        signal.signal(number, record)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Block SIGINT and SIGTERM for this thread, and for the processes that it starts meanwhile.

    A new process can prepare for these signals before it receives them with
    :func:`unblock_signals`. This one receives them at the end. Windows has no such masks.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would unblock them when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Receive SIGINT and SIGTERM again in a process that was started with them blocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """On Ctrl-C, say that the same command resumes the work in a folder."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"{folder}: stopped; the same command resumes the work\n")
        raise
