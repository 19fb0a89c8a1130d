"""Processes that work on a list of items together: each once, and again where a process died."""

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

#: How often a process may die of an item before that is given up.
DEATHS = 2
#: What became of it then.
DIED_TWICE = "its process died twice, perhaps for want of memory"

Item = TypeVar("Item")
Answer = TypeVar("Answer")
#: Opens, in a process and for its device (None: the CPU), what answers for an item.
Opener = Callable[[str | None], AbstractContextManager[Callable[[Item], Answer]]]


class DeathError(Exception):
    """The process of a member died of its item."""


@dataclass(frozen=True, slots=True)
class Task(Generic[Item]):
    """An item and its place in the list."""

    index: int
    item: Item


class Member(ABC, Generic[Item, Answer]):
    """A process that works on one item after another."""

    task: Task[Item] | None = None

    @abstractmethod
    def start(self) -> None:
        """Start the process, also in place of one that died."""

    @abstractmethod
    def give(self, item: Item) -> None:
        """Let it work on an item."""

    @abstractmethod
    def take(self) -> Answer:
        """Wait for its answer.

        Raises
        ------
        DeathError
            If it died.
        Exception
            What the item raised.
        """

    @abstractmethod
    def end(self) -> None:
        """End the process; what it is at is given up, and leaves nothing behind."""


class Crew(Protocol):
    """A number of processes, here or on other hosts.

    Attributes
    ----------
    count
        How many.
    """

    count: int

    def members(self, opener: Opener[Item, Answer], count: int) -> list[Member[Item, Answer]]:
        """Start so many processes."""
        ...

    def ready(self, busy: Sequence[Member[Item, Answer]]) -> list[Member[Item, Answer]]:
        """Wait until one or more of them have an answer, or died."""
        ...


@dataclass(frozen=True, slots=True)
class Done(Generic[Item, Answer]):
    """A task with its answer; None where two processes died of it."""

    task: Task[Item]
    answer: Answer | None


def share(
    items: Sequence[Item], crew: Crew, opener: Opener[Item, Answer], ahead: int | None = None
) -> Generator[Done[Item, Answer], None, None]:
    """Let a crew work on items; close this to end its processes.

    Parameters
    ----------
    items
        In the order in which they are begun.
    crew
        Who works on them.
    opener
        What each process opens, once; it is pickled.
    ahead
        How many items may be begun before the first is done that is not; any number by default.

    Yields
    ------
    Done
        As they come.
    """
    waiting = deque(Task(*pair) for pair in enumerate(items))
    unfinished, deaths = set(range(len(items))), Counter[int]()
    members = crew.members(opener, min(crew.count, len(items)))

    def may_begin() -> bool:
        return bool(waiting) and (ahead is None or waiting[0].index < min(unfinished) + ahead)

    try:
        while unfinished:
            for member in members:
                if member.task is None and may_begin():
                    member.task = waiting.popleft()
                    member.give(member.task.item)
            for member in crew.ready([each for each in members if each.task is not None]):
                task, member.task = member.task, None
                assert task is not None
                answer: Answer | None = None
                try:
                    answer = member.take()
                except DeathError:
                    deaths[task.index] += 1
                    member.start()
                    if deaths[task.index] < DEATHS:
                        waiting.appendleft(task)
                        continue
                unfinished.remove(task.index)
                yield Done(task, answer)
    finally:
        for member in members:
            member.end()


def in_order(done: Iterable[Done[Item, Answer]]) -> Iterator[Done[Item, Answer]]:
    """Hold items back until all before them are done."""
    held: dict[int, Done[Item, Answer]] = {}
    due = 0
    for each in done:
        held[each.task.index] = each
        while due in held:
            yield held.pop(due)
            due += 1


class Processes:
    """Processes of this machine; they share its cores, and take its GPUs in turn.

    Parameters
    ----------
    count
        How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def members(self, opener: Opener[Item, Answer], count: int) -> list[Member[Item, Answer]]:
        """Start so many processes."""
        return [LocalProcess(opener, rank, count) for rank in range(count)]

    def ready(self, busy: Sequence[Member[Item, Answer]]) -> list[Member[Item, Answer]]:
        """Wait until one or more of them have an answer, or died."""
        return wait_for(busy)


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


class PipeMember(Member[Item, Answer]):
    """A process at the other end of a pipe, where :func:`serve` runs."""

    pipe: Connection[Any, Any]

    def give(self, item: Item) -> None:  # noqa: D102
        with suppress(OSError):  # it died; taking the answer tells
            send(self.pipe, item)

    def take(self) -> Answer:  # noqa: D102
        try:
            answer: Answer | _Raised = receive(self.pipe)
        except (EOFError, OSError) as error:
            raise DeathError from error
        if isinstance(answer, _Raised):
            raise answer.error
        return answer


def wait_for(busy: Sequence[Member[Item, Answer]]) -> list[Member[Item, Answer]]:
    """Wait until one or more members behind pipes have an answer, or died."""
    pipes = {member.pipe: member for member in busy if isinstance(member, PipeMember)}
    return [pipes[pipe] for pipe in wait(list(pipes)) if isinstance(pipe, Connection)]


class LocalProcess(PipeMember[Item, Answer]):
    """A process that is started here."""

    context: SpawnContext = get_context("spawn")  # a fork would copy the locks of torch's threads

    def __init__(self, opener: Opener[Item, Answer], rank: int, count: int) -> None:
        self._arguments = opener, rank, count
        self.start()

    def start(self) -> None:  # noqa: D102
        self.pipe, theirs = self.context.Pipe()
        self._process = self.context.Process(
            target=serve, args=(theirs, *self._arguments), daemon=True
        )
        self._process.start()
        theirs.close()  # so that its death ends the pipe

    def end(self) -> None:  # noqa: D102
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def send(pipe: Connection[Any, Any], value: object) -> None:
    """Send an object by value: torch would hand over memory, which other hosts do not share."""
    pipe.send_bytes(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def receive(pipe: Connection[Any, Any]) -> Any:
    """Receive what a process of the same crew sent."""
    return pickle.loads(pipe.recv_bytes())


def serve(pipe: Connection[Any, Any], opener: Opener[Item, Answer], rank: int, count: int) -> None:
    """Answer for the items that come through a pipe, until it ends; in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    signal.signal(signal.SIGTERM, _leave)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    gpus = torch.cuda.device_count()
    with opener(f"cuda:{rank % gpus}" if gpus else None) as work:
        while True:
            try:
                item = receive(pipe)
            except EOFError:
                return
            try:
                answer: Answer | _Raised = work(item)
            except Exception as error:
                answer = _Raised(error)
            send(pipe, answer)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
