"""Locks between processes, which end with the process that holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from srkit.errors import OutputError, SrkitError

#: The locks that this process holds.
_held: set[FileLock] = set()


def _let_go() -> None:
    """Close the locks of the parent in a process that it forked, such as a worker of a loader.

    The operating system releases a lock when the last process that has it open ends; a worker that
    outlives its killed parent would keep it.
    """
    for lock in _held:
        # filelock has no function that closes a lock without releasing it for the parent, too.
        descriptor = lock._context.lock_file_fd
        if descriptor is not None:
            os.close(descriptor)
            lock._context.lock_file_fd = None
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def closed_in_children(lock: FileLock) -> Iterator[None]:
    """Close a lock in processes that are forked meanwhile."""
    _held.add(lock)
    try:
        yield
    finally:
        _held.discard(lock)


@contextmanager
def locked(path: Path, busy: SrkitError) -> Iterator[None]:
    """Hold a lock file, which is removed at the end.

    Parameters
    ----------
    path
        The lock file; its folder is created if needed.
    busy
        Raised if another process holds the lock.

    Raises
    ------
    OutputError
        If the lock file cannot be written.
    """
    lock = FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise busy from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        with closed_in_children(lock):
            yield
    finally:
        with suppress(PermissionError):  # Windows removes no open file; filelock does, once closed
            path.unlink(missing_ok=True)
        lock.release()
