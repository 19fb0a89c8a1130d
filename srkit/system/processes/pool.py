"""Pools of processes that work through a list of items; an item is retried if its process dies."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

import torch

from srkit.system.devices import device_of_rank
from srkit.system.processes.workers import end_with_main_process

#: How often the process of an item may die before the item is given up.
DEATHS = 2
#: The reason that is given for such an item.
DIED_TWICE = "its process died twice, possibly for lack of memory"

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Opens, in a process and for its device (None: the CPU), the function that is applied to items.
Setup = Callable[[str | None], AbstractContextManager[Callable[[Item], Result]]]


class DeathError(Exception):
    """A process of a pool died."""


class Worker(ABC, Generic[Item, Result]):
    """A process of a pool, which works on one item at a time."""

    @abstractmethod
    def start(self) -> None:
        """Start the process."""

    @abstractmethod
    def submit(self, item: Item) -> Future[Any]:
        """Let the process work on an item."""

    @abstractmethod
    def result(self, future: Future[Any]) -> Result:
        """Return the result of an item that was submitted.

        Raises
        ------
        DeathError
            If the process died.
        Exception
            What the function raised.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop the process; the item that it works on is abandoned."""


class Pool(Protocol):
    """Processes on this machine or on several hosts.

    Attributes
    ----------
    count
        Number of processes.
    """

    count: int

    def workers(self, setup: Setup[Item, Result], count: int) -> list[Worker[Item, Result]]:
        """Start this many processes."""
        ...


@dataclass(frozen=True, slots=True)
class Completed(Generic[Item, Result]):
    """An item with its index and result; None if two worker processes died while processing it."""

    index: int
    item: Item
    result: Result | None


def run_in_pool(
    items: Sequence[Item], pool: Pool, setup: Setup[Item, Result], ahead: int | None = None
) -> Generator[Completed[Item, Result], None, None]:
    """Work through a list of items in the processes of a pool; close this to stop them.

    Parameters
    ----------
    items
        In the order in which they are started.
    pool
        The processes.
    setup
        What each process opens once; it is pickled.
    ahead
        How many items may be started from the first that is not completed; by default all.

    Yields
    ------
    Completed
        In the order of completion.
    """
    waiting, unfinished = deque(range(len(items))), set(range(len(items)))
    deaths = Counter[int]()
    workers = pool.workers(setup, min(pool.count, len(items)))
    free, running = list(workers), dict[Future[Any], tuple[Worker[Item, Result], int]]()
    try:
        while unfinished:
            limit = len(items) if ahead is None else min(unfinished) + ahead
            while free and waiting and waiting[0] < limit:
                worker, index = free.pop(), waiting.popleft()
                running[worker.submit(items[index])] = worker, index
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, index = running.pop(future)
                free.append(worker)
                result: Result | None = None
                try:
                    result = worker.result(future)
                except DeathError:
                    deaths[index] += 1
                    worker.stop()
                    worker.start()
                    if deaths[index] < DEATHS:
                        waiting.appendleft(index)
                        continue
                unfinished.remove(index)
                yield Completed(index, items[index], result)
    finally:
        for worker in workers:
            worker.stop()


def in_order(
    completed: Iterable[Completed[Item, Result]],
) -> Iterator[Completed[Item, Result]]:
    """Hold items back until all items before them are completed."""
    held: dict[int, Completed[Item, Result]] = {}
    due = 0
    for each in completed:
        held[each.index] = each
        while due in held:
            yield held.pop(due)
            due += 1


class LocalPool:
    """Processes of this machine, which share its cores and are assigned its GPUs in turn.

    Parameters
    ----------
    count
        Number of processes.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def workers(self, setup: Setup[Item, Result], count: int) -> list[Worker[Item, Result]]:
        """Start this many processes."""
        return [_LocalWorker(setup, rank, count) for rank in range(count)]


class _LocalWorker(Worker[Item, Result]):
    """An executor of one process, so that its death affects no other."""

    def __init__(self, setup: Setup[Item, Result], rank: int, count: int) -> None:
        self._arguments = setup, rank, count
        self.start()

    def start(self) -> None:
        self._executor = ProcessPoolExecutor(1, _context(), _begin, self._arguments)
        self._process = self._executor.submit(os.getpid)

    def submit(self, item: Item) -> Future[Any]:
        try:
            return self._executor.submit(_apply, item)
        except BrokenProcessPool as error:
            broken = Future[Any]()
            broken.set_exception(error)
            return broken

    def result(self, future: Future[Any]) -> Result:
        try:
            result: Result = pickle.loads(future.result())
        except (BrokenProcessPool, SystemExit) as error:
            raise DeathError from error
        return result

    def stop(self) -> None:
        with suppress(BrokenProcessPool, OSError):  # it may have ended
            os.kill(self._process.result(), signal.SIGTERM)
        self._executor.shutdown(cancel_futures=True)


def _context() -> BaseContext:
    """Start processes without a fork of this one, which would copy the locks of torch's threads.

    On Linux they are forks of a server process that has imported torch, which takes seconds.
    """
    context = get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload([__name__])
    return context


class Opened(Generic[Item, Result]):
    """The function of a process, opened for the first item so that its errors are those of items.

    Parameters
    ----------
    context
        What `Setup` returns; the end of the process closes it.
    """

    def __init__(self, context: AbstractContextManager[Callable[[Item], Result]]) -> None:
        self._context = context
        self._function: Callable[[Item], Result] | None = None

    def __call__(self, item: Item) -> Result:
        """Apply the function."""
        function = self._function = self._function or self._context.__enter__()
        return function(item)


def _begin(setup: Setup[Item, Result], rank: int, count: int) -> None:
    """Prepare a process of a pool."""
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops the others
    signal.signal(signal.SIGTERM, _exit)
    end_with_main_process()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    _function = Opened(setup(device_of_rank(rank)))


def _apply(item: Any) -> bytes:
    """Apply the function of this process; otherwise tensors would be returned in shared memory."""
    return pickle.dumps(_function(item), pickle.HIGHEST_PROTOCOL)


#: The function of this process, if it belongs to a pool.
_function: Opened[Any, Any]


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
