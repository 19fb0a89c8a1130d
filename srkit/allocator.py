"""What the C library does with memory that is freed and soon needed again."""

from __future__ import annotations

import ctypes

#: Names of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let this process keep freed memory, so that the next step on a CPU finds it mapped.

    By default glibc maps every large tensor afresh and unmaps it when it is freed. The kernel then
    zeroes each page again at every step, one thread at a time: a fifth of a training step or more.
    The peak stays about what it was; what falls away is the return between the peaks. Where the
    C library is not glibc, as on macOS, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
