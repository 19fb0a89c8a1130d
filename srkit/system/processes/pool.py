"""Pools of processes that work through a list of items; an item is retried if its process dies."""

from __future__ import annotations

import os
import pickle
import signal
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

import torch

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

    task: tuple[int, Item] | None = None
    """The item and its index, while the process works on it."""

    @abstractmethod
    def start(self) -> None:
        """Start the process, or start it again if it died."""

    @abstractmethod
    def send(self, item: Item) -> None:
        """Let the process work on an item."""

    @abstractmethod
    def receive(self) -> Result:
        """Wait for the result.

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

    def ready(self, busy: Sequence[Worker[Item, Result]]) -> list[Worker[Item, Result]]:
        """Wait until some of them have a result or died, and return these."""
        ...


@dataclass(frozen=True, slots=True)
class Completed(Generic[Item, Result]):
    """An item with its index and result; the result is None if two processes died of it."""

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
    waiting = deque(enumerate(items))
    unfinished, deaths = set(range(len(items))), Counter[int]()
    workers = pool.workers(setup, min(pool.count, len(items)))

    def may_start() -> bool:
        return bool(waiting) and (ahead is None or waiting[0][0] < min(unfinished) + ahead)

    try:
        while unfinished:
            for worker in workers:
                if worker.task is None and may_start():
                    worker.task = waiting.popleft()
                    worker.send(worker.task[1])
            for worker in pool.ready([each for each in workers if each.task is not None]):
                assert worker.task is not None
                (index, item), worker.task = worker.task, None
                result: Result | None = None
                try:
                    result = worker.receive()
                except DeathError:
                    deaths[index] += 1
                    worker.start()
                    if deaths[index] < DEATHS:
                        waiting.appendleft((index, item))
                        continue
                unfinished.remove(index)
                yield Completed(index, item, result)
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

    def ready(self, busy: Sequence[Worker[Item, Result]]) -> list[Worker[Item, Result]]:
        """Wait until some of them have a result or died, and return these."""
        pipes = {worker.pipe: worker for worker in busy if isinstance(worker, _LocalWorker)}
        return [pipes[pipe] for pipe in wait(list(pipes)) if isinstance(pipe, Connection)]


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


class _LocalWorker(Worker[Item, Result]):
    """A process at the other end of a pipe, where :func:`_serve` runs."""

    context: SpawnContext = get_context("spawn")  # a fork would copy the locks of torch's threads

    def __init__(self, setup: Setup[Item, Result], rank: int, count: int) -> None:
        self._arguments = setup, rank, count
        self.start()

    def start(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self._process = self.context.Process(
            target=_serve, args=(theirs, *self._arguments), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the pipe ends when the process dies

    def send(self, item: Item) -> None:
        with suppress(OSError):  # it died, which `receive` reports
            _send(self.pipe, item)

    def receive(self) -> Result:
        try:
            result: Result | _Raised = _receive(self.pipe)
        except (EOFError, OSError) as error:
            raise DeathError from error
        if isinstance(result, _Raised):
            raise result.error
        return result

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _send(pipe: Connection[Any, Any], value: object) -> None:
    """Send an object by value; `pipe.send` would share the memory of tensors."""
    pipe.send_bytes(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def _receive(pipe: Connection[Any, Any]) -> Any:
    return pickle.loads(pipe.recv_bytes())


def _serve(pipe: Connection[Any, Any], setup: Setup[Item, Result], rank: int, count: int) -> None:
    """Work on the items that arrive through a pipe, until it ends; runs in a process of a pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops the others
    signal.signal(signal.SIGTERM, _exit)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    gpus = torch.cuda.device_count()
    with setup(f"cuda:{rank % gpus}" if gpus else None) as function:
        while True:
            try:
                item = _receive(pipe)
            except EOFError:
                return
            try:
                result: Result | _Raised = function(item)
            except Exception as error:
                result = _Raised(error)
            _send(pipe, result)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
