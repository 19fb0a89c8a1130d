"""Worker processes that read or compute data for the main process."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from srkit.errors import DataError, SrkitError
from srkit.system.processes.signals import blocked_signals, unblock_signals
from srkit.system.resources import files_ran_out

#: Seconds between two signals to a process that has to end.
PERIOD = 1.0
#: Items that each worker process computes in advance.
AHEAD = 8

#: How worker processes start. A server that forks them, the default of Python 3.14, would end at a
#: signal to all processes of a run, and they with it.
FORK = "fork" if sys.platform == "linux" and hasattr(os, "fork") else None

Item = TypeVar("Item")
Result = TypeVar("Result")


def begin_worker(worker: int = 0) -> None:
    """Prepare a worker process of a ``DataLoader``, as its ``worker_init_fn``.

    The main process needs its workers until it has saved its state, so that they ignore signals
    to stop which come from others: Ctrl-C, which a terminal sends to all of them, and SIGTERM,
    which some batch systems do. If the main process is killed, its workers end, too: they would
    wait forever for it to fetch what they have read. The memory use of a worker stays constant over
    an epoch.

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
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_obey_main_process, daemon=True).start()
    else:
        unblock_signals()
    end_with_main_process()


def _obey_main_process() -> None:
    """End at a SIGTERM of the main process or of this one, and at no other."""
    main = parent_process()
    assert main is not None
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid not in (main.pid, os.getpid()):
        pass
    os._exit(0)


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

    Raises
    ------
    DataError
        If the results do not fit into shared memory, or a worker process was killed.
    """
    import torch  # only here, since it takes a second to import
    from torch.utils.data import DataLoader

    count = min(workers, len(items)) if isinstance(items, Sized) else workers
    # By default, a loader draws a number from the global generator, so that a step in which a run
    # is resumed would have other random numbers than in a run that was not interrupted.
    generator = torch.Generator().manual_seed(torch.initial_seed())
    loader: DataLoader[Any] = DataLoader(
        _Mapped(function, packed=count > 0),  # type: ignore[arg-type]
        sampler=items,
        batch_size=None,
        collate_fn=_unchanged,
        num_workers=count,
        multiprocessing_context=FORK if count else None,
        prefetch_factor=ahead if count else None,
        worker_init_fn=begin_worker,
        generator=generator,
    )
    with killed_workers_explained():
        try:
            with blocked_signals():
                results = iter(loader)  # which needs shared memory for semaphores
        except OSError as error:
            raise DataError(_not_shared(error)) from error
        try:
            for result in results:
                if isinstance(result, _NotShared):
                    raise DataError(str(result))
                yield pickle.loads(result.content) if isinstance(result, _Packed) else result
        except (OSError, RuntimeError) as error:
            advice = files_ran_out(error)
            if advice is None:
                raise
            raise DataError(advice) from error


@contextmanager
def killed_workers_explained(remedy: str = "lower the number of workers") -> Iterator[None]:
    """Explain the error that torch raises, at any moment, after a worker process was killed.

    Parameters
    ----------
    remedy
        What the error advises.

    Raises
    ------
    DataError
        In place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        reason = str(error).partition(". ")[0].rstrip(".")
        raise DataError(
            f"a process that loads data was killed ({reason}), as happens when memory or shared "
            f"memory runs out; {remedy}"
        ) from error


class _NotShared(Exception):  # noqa: N818 - returned, not raised
    """The result of a worker does not fit into shared memory."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """A pickled result, whose tensors are in shared memory."""

    content: bytes


@dataclass(frozen=True, slots=True)
class _Mapped(Generic[Item, Result]):
    """The results of a function as a data set, whose indices are the items."""

    function: Callable[[Item], Result]
    packed: bool

    def __getitem__(self, item: Item) -> Result | SrkitError | _Packed | _NotShared:
        try:
            result = self.function(item)
        except SrkitError as error:  # raised in a worker, its message would become a traceback
            return error
        return _pack(result) if self.packed else result


def _pack(result: object) -> _Packed | _NotShared:
    """Pickle a result here: torch's thread would print an error, and drop the result for ever."""
    try:
        return _Packed(bytes(ForkingPickler.dumps(result)))
    except (RuntimeError, OSError) as error:
        known = "shared memory" in str(error) or files_ran_out(error) is not None
        if not known and not isinstance(error, OSError):
            raise
        return _NotShared(_not_shared(error))


def _not_shared(error: Exception) -> str:
    """Return what an error about shared memory means, and what to do."""
    advice = files_ran_out(error)
    if advice is not None:
        return advice
    space = "shared memory"
    with suppress(OSError):
        space = f"/dev/shm, which has {shutil.disk_usage('/dev/shm').total / 1e6:.3g} MB"
    reason = " ".join(str(error).split())
    return (
        f"what worker processes read does not fit into {space} ({reason}); enlarge it, as with "
        "docker run --shm-size=8g, or lower the number of workers (0 uses none)"
    )


def _unchanged(result: Result) -> Result:
    return result
