"""What this machine can hold."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

import psutil

#: Where Linux reports the memory limit and the memory use of a container.
CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Return the bytes that this process can still allocate without swapping."""
    available = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # outside of a container, there is no limit
        limit, used = (
            (CGROUP / f"memory.{name}").read_text("utf-8") for name in ("max", "current")
        )
        available = min(available, max(0, int(limit) - int(used)))
    return available


def files_ran_out(error: BaseException) -> str | None:
    """Return what to do about an error that says that no further file can be opened.

    The error may be that of a library, such as of a process that receives open files from another.
    """
    reason = " ".join(str(error).split())
    known = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
    if not known and "Too many open files" not in reason and "ancdata" not in reason:
        return None
    return (
        f"too many files are open ({reason}); raise the limit, as with ulimit -n 4096, or lower "
        "the number of workers"
    )
