"""Commands of srkit in separate processes, which signals can stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import psutil

#: What the server has imported, besides what these import.
PRELOADED = [
    "srkit.cli",
    "srkit.evaluation.run",
    "srkit.studies.sweeps.measure",
    "srkit.training.loop",
    "srkit.upscaling.parallel",
    "srkit_astro.files.sr_image",
    "srkit_generators.rrdb",
    "srkit_photos.formats.pillow_formats",
    "srkit_teachers.classifiers.timm_models",
]


class Command:
    """An ``srkit`` command in a separate process.

    It is forked from a server that has imported torch already, which saves seconds a process.

    Parameters
    ----------
    arguments
        What follows ``srkit`` on the command line.
    log
        File for what it prints.
    environment
        Added to the environment.
    lifetime
        If not None, the process kills itself so many times the duration of a step after its second
        checkpoint.
    before
        Called in the process before the command.
    """

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        lifetime: float | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.log = log
        self.process: ForkServerProcess = context.Process(
            target=_command, args=(arguments, log, environment or {}, lifetime, before)
        )
        self.process.start()

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Wait until the command has done something; fail if it ends before that."""
        deadline = time.monotonic() + 120
        while not done():
            assert self.process.is_alive(), self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.005)

    def kill(self, number: int) -> int:
        """Send a signal to its process group, as a terminal does, and return the exit status."""
        assert self.process.pid is not None
        os.killpg(self.process.pid, number)
        return self.wait()

    def kill_all(self, number: int) -> int:
        """Send a signal to its workers and then to it, as batch systems do."""
        for worker in psutil.Process(self.process.pid).children(recursive=True):
            worker.send_signal(number)
        time.sleep(0.1)
        return self.kill(number)

    def wait(self) -> int:
        """Wait until the command ends, and return the exit status."""
        self.process.join(120)
        assert self.process.exitcode is not None, self.log.read_text()
        return self.process.exitcode


def _command(
    arguments: list[str],
    log: Path,
    environment: Mapping[str, str],
    lifetime: float | None,
    before: Callable[[], object] | None,
) -> None:
    """Run srkit in this process, in a new process group, printing to the log."""
    from srkit.cli import main

    os.setsid()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    if lifetime is not None:
        _kill_later(lifetime)
    sys.argv = ["srkit", *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    if before is not None:
        before()
    main()


def _kill_later(lifetime: float) -> None:
    """Start a timer that ends this process like SIGKILL, without any clean-up.

    It counts the time of the processor, so that no other process can move the end to another step.
    The fifth checkpoint ends it in any case.
    """
    from srkit.training import run as module

    save, saved = module.save, list[float]()

    def timed(*state: Any) -> None:
        save(*state)
        saved.append(time.process_time())
        if len(saved) == 2:
            signal.setitimer(signal.ITIMER_PROF, lifetime * (saved[1] - saved[0]))
        if len(saved) == 5:  # later steps may be faster than the first ones
            os.kill(os.getpid(), signal.SIGPROF)

    module.save = timed
