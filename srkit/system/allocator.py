"""What the C library does with memory that is freed and soon needed again."""

from __future__ import annotations

import ctypes

#: Names of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4


def keep_freed_memory() -> None:
    """Let this process keep freed memory, so that the next step on a CPU finds it mapped.

    By default glibc maps every large tensor afresh and unmaps it when it is freed. The kernel then
    zeroes each page again at every step, one thread at a time: a fifth of a training step or more.
    The peak stays about what it was; what falls away is the return between the peaks. Where the
    C library is not glibc, as on macOS, nothing happens.
    """
    _set({_MMAP_MAX: 0, _TRIM_THRESHOLD: -1})


def return_freed_memory() -> None:
    """Let this process return what it frees, as one that loads pictures of many sizes should.

    By default glibc learns from each large piece that is freed to take pieces of that size from its
    heap, where pictures of other sizes soon leave holes: over an epoch it grows to several times
    what is in use. These are the thresholds that glibc begins with, fixed.
    """
    _set({_MMAP_MAX: 65_536, _MMAP_THRESHOLD: 1 << 17, _TRIM_THRESHOLD: 1 << 17})


def _set(options: dict[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in options.items():
        mallopt(option, value)
