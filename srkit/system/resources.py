"""What this machine can hold."""

from __future__ import annotations

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
