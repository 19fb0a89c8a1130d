"""A process that lacks what Windows lacks: ``python windows_process.py FOLDER COMMAND...``.

It runs each command of srkit, a line of JSON, in turn. Removed are the modules and functions of
POSIX that no library needs on Linux, once the libraries are imported. Files in the folder that are
open or mapped into memory can be neither replaced nor removed, and worker processes are spawned.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate  # noqa: F401 - libraries have their own ways on Windows
import psutil
import timm  # noqa: F401
import torch.utils.data  # noqa: F401

MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
FUNCTIONS = ("fork", "forkpty", "getpgid", "geteuid", "getuid", "killpg", "mkfifo", "nice")
FUNCTIONS += ("setpgrp", "setsid", "sysconf", "statvfs", "uname")
SIGNALS = ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPROF", "SIGPIPE", "SIGQUIT")


def in_use(path: Path) -> bool:
    """Return whether this process has a file open, or maps it into memory."""
    process = psutil.Process()
    files = [Path(each.path) for each in process.open_files()]
    files += [Path(each.path) for each in process.memory_maps()]
    return path in files


def guarded(function: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """Let a function that removes or replaces files refuse those that are in use."""

    def refuse(*paths: Any, **options: Any) -> Any:
        for path in map(Path, paths):
            path = path.absolute()
            if path.is_relative_to(folder) and in_use(path):
                raise PermissionError(13, "in use", str(path))
        return function(*paths, **options)

    return refuse


def become_windows(folder: Path) -> None:
    sys.modules.update(dict.fromkeys(MODULES))  # type: ignore[arg-type]
    for name in FUNCTIONS:
        delattr(os, name)
    for name in SIGNALS:
        delattr(signal, name)
    for name in ("remove", "rename", "replace", "unlink"):
        setattr(os, name, guarded(getattr(os, name), folder))
    warnings.filterwarnings("ignore", category=EncodingWarning)
    warnings.filterwarnings("error", category=EncodingWarning, module="srkit")


def run(arguments: list[str]) -> None:
    from srkit.cli import main

    sys.argv = ["srkit", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, f"{arguments}: {end.code}"


become_windows(Path(sys.argv[1]).resolve())  # in spawned workers, too

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    os.chdir(sys.argv[1])
    for command in sys.argv[2:]:
        run(json.loads(command))
