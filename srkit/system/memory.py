"""How much memory something takes at its peak."""

from __future__ import annotations

import ctypes
import gc
import threading

import psutil
import torch

#: How often memory is looked at, in seconds.
INTERVAL = 0.005


class PeakMemory:
    """Measures how far memory rises above what was taken when this was made.

    On a GPU what torch has given out; on a CPU the resident memory of the process, looked at every
    5 ms. What was freed before is returned to the system first, where the C library can (glibc).

    Parameters
    ----------
    device
        Whose memory.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None
        gc.collect()
        return_freed_memory()
        self._start = self._taken()
        self.peak = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PeakMemory:
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
            return self
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._cuda is not None:
            self._note(torch.cuda.max_memory_allocated(self._cuda))
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._note(self._taken())

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._note(self._taken())

    def _note(self, taken: int) -> None:
        self.peak = max(self.peak, taken - self._start)

    def _taken(self) -> int:
        if self._cuda is not None:
            return torch.cuda.memory_allocated(self._cuda)
        return int(psutil.Process().memory_info().rss)


def return_freed_memory() -> None:
    """Give memory that was freed back to the system, where the C library is glibc."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
