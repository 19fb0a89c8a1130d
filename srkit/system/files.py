"""Write files atomically: whole or not at all."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

from srkit.errors import OutputError

#: Part of the temporary name of a file that is being written.
PARTIAL = ".partial."
#: Bytes of the name of a file, at most, and how many of them srkit adds to temporary names.
LONGEST, ADDED = 255, 64
#: Temporary names: the process, and the machine on which its number is unique.
_TEMPORARY = re.compile(rf"\.(\d+)-([0-9a-f]{{8}}){re.escape(PARTIAL)}.+", re.DOTALL)
#: Seconds after which a file that a process of another machine was writing counts as abandoned.
ABANDONED = 24 * 3600
#: The folders from which this process has removed what dead processes left.
_cleared: set[Path] = set()
#: What Windows does not accept as the name of a file: devices, and some characters.
_REFUSED = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[<>:\"/\\|?*\x00-\x1f].*|.*[. ]|",
    re.IGNORECASE | re.DOTALL,
)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside it, then force it to disk and rename it.

    Before a process writes to a folder for the first time, temporary files of dead processes are
    removed from it.

    Parameters
    ----------
    path
        The file; its folder is created if needed.

    Yields
    ------
    Path
        The temporary name, with the extension of `path`, where the file is to be written. It is
        removed if that fails.

    Raises
    ------
    OutputError
        If the file cannot be written, as on a full disk; an existing file is left unchanged.
    """
    check_length(path)
    partial = path.with_name(f".{os.getpid()}-{_machine()}{PARTIAL}{short_name(path.name)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose "
            "another folder"
        ) from error


def write_file(path: Path, content: bytes | str) -> Path:
    """Write a file atomically, see :func:`atomic`.

    Parameters
    ----------
    path
        The file; its folder is created if needed.
    content
        Bytes, or text that is encoded as UTF-8; names of files keep their bytes.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        If the file cannot be written; an existing file is left unchanged.
    """
    with atomic(path) as partial:
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        partial.write_bytes(content)
    return path


def is_file_name(name: str) -> bool:
    """Return whether a file can have this name on Linux, on macOS and on Windows.

    Parameters
    ----------
    name
        The name, without a folder.

    Returns
    -------
    bool
        False for ``nul.fits`` and ``a:b``, for instance.
    """
    return _REFUSED.fullmatch(name) is None


def check_length(path: Path) -> None:
    """Check that a file system accepts the name of a file.

    Raises
    ------
    OutputError
        If it is too long.
    """
    length = len(os.fsencode(path.name))
    if length > LONGEST:
        raise OutputError(
            f"{path}: its name has {length} bytes, but a file system allows {LONGEST}; choose a "
            "shorter name"
        )


def short_name(name: str) -> str:
    """Return a name to which a prefix and an extension can be added; a long one by its digest."""
    if len(os.fsencode(name)) <= LONGEST - ADDED:
        return name
    endings = "".join(Path(name[-ADDED // 4 :]).suffixes)
    return hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest() + endings


def is_partial(path: Path) -> bool:
    """Return whether a file is being written atomically, or was when its process was killed."""
    return path.name.startswith(".") and PARTIAL in path.name


def remove_partials(folder: Path) -> None:
    """Remove all files that processes were writing atomically when they were killed.

    Parameters
    ----------
    folder
        The folder, with its subfolders; a lock must keep other processes from writing such files.
    """
    for partial in folder.rglob(f".*{PARTIAL}*"):
        if _TEMPORARY.fullmatch(partial.name):
            partial.unlink(missing_ok=True)


@cache
def _machine() -> str:
    """Identify the machine or container on which the number of this process is unique."""
    namespace = Path("/proc/self/ns/pid")
    number = namespace.stat().st_ino if namespace.exists() else 0
    return hashlib.blake2b(f"{platform.node()} {number}".encode(), digest_size=4).hexdigest()


def _remove_abandoned(folder: Path) -> None:
    """Remove what dead processes were writing in a folder, once per process."""
    folder = folder.absolute()
    if folder in _cleared:
        return
    _cleared.add(folder)
    for partial in folder.glob(f".*{PARTIAL}*"):
        found = _TEMPORARY.fullmatch(partial.name)
        if found is None:
            continue
        with suppress(OSError):  # removed by another process, or written by another user
            if found[2] == _machine():
                abandoned = not psutil.pid_exists(int(found[1]))
            else:
                abandoned = time.time() - partial.stat().st_mtime > ABANDONED
            if abandoned:
                partial.unlink()
