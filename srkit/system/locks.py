"""Locks between processes, which end with the process that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from srkit.errors import OutputError, SrkitError


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
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()
