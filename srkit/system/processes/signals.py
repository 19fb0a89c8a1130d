"""Ctrl-C and the like, noted until it is a good moment to stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


@contextmanager
def gathered_signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM while this lasts; a second one acts at once.

    In another thread than the main one, which alone may catch signals, nothing is noted.

    Yields
    ------
    list of int
        The signals that came, to be looked at from time to time.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """On Ctrl-C, say that the same command resumes the work in a folder."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"{folder}: stopped; the same command resumes the work\n")
        raise
