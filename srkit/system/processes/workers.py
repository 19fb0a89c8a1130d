"""What every process that loads data for another does first."""

from __future__ import annotations

import os
import threading
import time

from srkit.system.allocator import return_freed_memory

#: Seconds between two looks at whether the main process is still there.
PERIOD = 2.0


def begin_worker(worker: int = 0) -> None:
    """Prepare a worker process of a ``DataLoader``, as its ``worker_init_fn``.

    Ctrl-C reaches the main process alone, which needs its workers until it has saved. A main
    process that is killed takes them with it: they would wait for ever for somebody to take what
    they have read. The memory that a worker holds stays flat over an epoch.

    Parameters
    ----------
    worker
        Its number, which changes nothing.
    """
    return_freed_memory()
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process once it has another parent, since its own is gone."""
    while os.getppid() == parent:
        time.sleep(PERIOD)
    os._exit(1)
