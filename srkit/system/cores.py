"""The cores of the processor, which processes of srkit take in turn.

The threads of a process wait for each other many times a step. Where two processes have a thread on
every core, a thread mostly waits for one that the system has suspended in favour of the other
process, and each process runs at a tenth of its speed. In turns, each runs at nearly half of it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from getpass import getuser
from pathlib import Path
from tempfile import gettempdir
from threading import RLock

import psutil
import torch
from filelock import FileLock, Timeout

from srkit.system.locks import closed_in_children

#: Seconds between two attempts to get the cores.
INTERVAL = 0.002

#: Lets the threads of this process hold the cores one after the other.
_thread_lock = RLock()
_holding = False


@contextmanager
def hold_cores(device: torch.device) -> Iterator[None]:
    """Compute while no other process of this user holds the cores.

    It has no effect on accelerators, where half of the cores suffice for the threads of torch, and
    in distributed processes, which wait for each other. It may be entered again while it is held.

    Parameters
    ----------
    device
        The device of the computation.
    """
    global _holding
    if device.type != "cpu" or not _occupies_most_cores():
        yield
        return
    with _thread_lock:
        if _holding:
            yield
            return
        with _lock_of_processes():
            _holding = True
            try:
                yield
            finally:
                _holding = False


def _occupies_most_cores() -> bool:
    """Return whether the threads of two such processes do not fit on the cores."""
    threads = torch.get_num_threads()
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return threads > 1 and 2 * threads > (os.cpu_count() or 1) and not distributed


@contextmanager
def _lock_of_processes() -> Iterator[None]:
    """Wait for the lock, unless the process that holds it is suspended, as by Ctrl-Z."""
    folder = _own_folder()
    if folder is None:
        yield
        return
    holder, waiting = folder / "holder", folder / "waiting"
    lock = FileLock(folder / "lock", timeout=0)
    with closed_in_children(lock):
        while not (acquired := _acquired(lock)) and not _suspended(holder):
            waiting.touch()
            time.sleep(INTERVAL)
        if acquired:
            holder.write_text(str(os.getpid()), "ascii")
        started = time.time()
        try:
            yield
        finally:
            lock.release()
            with suppress(OSError):
                if waiting.stat().st_mtime >= started:
                    time.sleep(2 * INTERVAL)  # so that another process gets the lock


def _own_folder() -> Path | None:
    """Return the folder by which the processes of this user on this machine find each other.

    Others can write to the folder of temporary files, so that one which belongs to another user, or
    cannot be written, is not used: the processes then compute at the same time.
    """
    folder = Path(gettempdir()) / f"srkit-{getuser()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return folder if own and stat.S_ISDIR(found.st_mode) else None


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    return True


def _suspended(holder: Path) -> bool:
    """Return whether the process that holds the lock has been stopped by a signal."""
    try:
        return bool(psutil.Process(int(holder.read_text("ascii"))).status() == "stopped")
    except (OSError, ValueError, psutil.Error):
        return False  # it has just ended, or begun
