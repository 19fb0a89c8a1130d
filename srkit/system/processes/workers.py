"""Worker processes that read or compute data for the main process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sized
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import Any, Generic, TypeVar

from srkit.errors import SrkitError

#: Seconds between two signals to a process that has to end.
PERIOD = 1.0
#: Items that each worker process computes in advance.
AHEAD = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def begin_worker(worker: int = 0) -> None:
    """Prepare a worker process of a ``DataLoader``, as its ``worker_init_fn``.

    Workers ignore Ctrl-C, since the main process needs them until it has saved its state.
    If the main process is killed, its workers end, too: they would wait forever for it to fetch
    what they have read. The memory use of a worker stays constant over an epoch.

    Parameters
    ----------
    worker
        Index of the worker; unused.
    """
    from srkit.system.memory import return_freed_memory  # only here, since it imports torch

    return_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # nor do they receive other signals to the group of the main process
    end_with_main_process()


def end_with_main_process() -> None:
    """Send SIGTERM to this process when the one that started it has ended, even if killed."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    main = parent_process()  # unlike `getppid`, this is not the server that forked this process
    assert main is not None
    main.join()
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PERIOD)  # an executor catches the exit from the item that it works on


def map_in_workers(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    *,
    ahead: int = AHEAD,
) -> Generator[Result | SrkitError, None, None]:
    """Apply a function to items in worker processes.

    Parameters
    ----------
    function
        The function; where processes are not forked, it has to be picklable.
    items
        Its arguments, which may be without end.
    workers
        Number of processes; with 0 this process does the work.
    ahead
        Items that each worker process computes in advance.

    Yields
    ------
    object or SrkitError
        The results, in the order of the items; or the error that the function raised.
    """
    import torch  # only here, since it takes a second to import
    from torch.utils.data import DataLoader

    count = min(workers, len(items)) if isinstance(items, Sized) else workers
    # By default, a loader draws a number from the global generator, so that a step in which a run
    # is resumed would have other random numbers than in a run that was not interrupted.
    generator = torch.Generator().manual_seed(torch.initial_seed())
    loader: DataLoader[Any] = DataLoader(
        _Mapped(function),  # type: ignore[arg-type]
        sampler=items,
        batch_size=None,
        collate_fn=_unchanged,
        num_workers=count,
        prefetch_factor=ahead if count else None,
        worker_init_fn=begin_worker,
        generator=generator,
    )
    yield from loader


@dataclass(frozen=True, slots=True)
class _Mapped(Generic[Item, Result]):
    """The results of a function as a data set, whose indices are the items."""

    function: Callable[[Item], Result]

    def __getitem__(self, item: Item) -> Result | SrkitError:
        try:
            return self.function(item)
        except SrkitError as error:  # raised in a worker, its message would become a traceback
            return error


def _unchanged(result: Result) -> Result:
    return result
