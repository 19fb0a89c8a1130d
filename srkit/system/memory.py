"""Measure the peak of memory, and control what happens to memory that is freed."""

from __future__ import annotations

import ctypes
import gc
import threading

import psutil
import torch

#: Seconds between two measurements.
INTERVAL = 0.005
#: Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4


class PeakMemory:
    """Measures how far memory use rises above its level when this object was created.

    On a GPU this is the memory that torch has allocated; on a CPU, the resident memory of the
    process. torch keeps no peak of MPS, whose memory is measured every 5 ms, as is that of the CPU.
    Memory that was freed before is first returned to the system, where the C library can do that
    (glibc).

    Parameters
    ----------
    device
        The device.

    Attributes
    ----------
    peak
        Bytes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._counts = device.type not in ("cpu", "mps")  # then torch itself keeps the peak
        gc.collect()
        trim_memory()
        self._module = torch.get_device_module(device)
        self._start = self._used()
        self.peak = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PeakMemory:
        if self._counts:
            self._module.reset_peak_memory_stats(self._device)
            return self
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._counts:
            self._record(self._module.max_memory_allocated(self._device))
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._record(self._used())

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._record(self._used())

    def _record(self, used: int) -> None:
        self.peak = max(self.peak, used - self._start)

    def _used(self) -> int:
        if self._counts:
            return int(self._module.memory_allocated(self._device))
        if self._device.type == "mps":
            return int(self._module.current_allocated_memory())
        return int(psutil.Process().memory_info().rss)


def trim_memory() -> None:
    """Return the memory that this process has freed to the system; without glibc, do nothing."""
    _call("malloc_trim", (0,))


def keep_freed_memory() -> None:
    """Let this process keep freed memory for the next step on a CPU; without glibc, do nothing.

    By default glibc maps memory for every large tensor and unmaps it when it is freed. The kernel
    then zeroes each page again at every step, in one thread: a fifth of a training step or more.
    The peak stays about the same; memory is no longer returned between the peaks.
    """
    _call("mallopt", (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1))


def return_freed_memory() -> None:
    """Let this process return freed memory, as one that loads images of many sizes should.

    By default glibc learns from each large block that is freed to allocate blocks of that size
    from its heap, where images of other sizes soon leave holes: over an epoch the heap grows to
    several times what is in use. This fixes the thresholds at their initial values; without
    glibc, it does nothing.
    """
    _call("mallopt", (_MMAP_MAX, 65_536), (_MMAP_THRESHOLD, 1 << 17), (_TRIM_THRESHOLD, 1 << 17))


def _call(name: str, *calls: tuple[int, ...]) -> None:
    """Call a function of the C library, if it exists there."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return
    for arguments in calls:
        function(*arguments)
