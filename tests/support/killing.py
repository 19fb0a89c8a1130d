"""Processes that kill themselves, for the tests of what is left then."""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What a process does to files; each is reported before it happens.
OPERATIONS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


def watched(out: Path, record: Path, kill: float | None, before: Callable[[], object]) -> None:
    """Work in a folder, record the times of this process's operations there, and kill it.

    An integer kills it before this operation, and another number after so many seconds.
    """
    before()
    out.mkdir(exist_ok=True)
    os.chdir(out)
    number, times = 0, os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal number
        if event not in OPERATIONS or isinstance(arguments[0], int):
            return
        path = os.fsdecode(arguments[0])
        if path.startswith("/") and not path.startswith(str(out)):
            return
        if event == "open" and arguments[2] & os.O_ACCMODE == os.O_RDONLY:
            return
        number += 1
        if number == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(times, struct.pack("d", time.process_time()))

    sys.addaudithook(count)
    if isinstance(kill, float):
        signal.setitimer(signal.ITIMER_PROF, kill)  # which ends it without any clean-up, too


def undrawn() -> None:
    """Write empty figures, which take longer than small runs."""
    import srkit.report.writer

    srkit.report.writer.png = lambda figure, dpi: b""


def sweep_here() -> None:
    """Train the variants of a sweep in its own process."""
    from sweep_setup import run_jobs_here

    from srkit.studies.sweeps import measure

    measure.run_jobs = run_jobs_here  # type: ignore[assignment]
    undrawn()


def restore_in_windows() -> None:
    """Restore every frame in windows."""
    from srkit.upscaling.frames import files, statistics

    files.LARGE = files.SMALL_FILE = 0
    statistics.BAND = 1000
