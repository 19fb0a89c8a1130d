"""The processes that torchrun or `accelerate launch` started, on any hosts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from torch.distributed.rendezvous import rendezvous

from srkit.errors import SrkitError
from srkit.system.processes.crew import (
    Answer,
    Item,
    LocalProcess,
    Member,
    Opener,
    PipeMember,
    receive,
    send,
    serve,
    wait_for,
)

#: How long the others wait for the first process.
PATIENCE = timedelta(minutes=10)
#: What the first one tells them under.
ADDRESS = "srkit/crew"


class RankCrew:
    """One process beside the first, and those of all other ranks.

    Parameters
    ----------
    pipes
        To the processes of the ranks above 0.
    """

    def __init__(self, pipes: Sequence[Connection[Any, Any]]) -> None:
        self._pipes, self.count = pipes, len(pipes) + 1

    def members(self, opener: Opener[Item, Answer], count: int) -> list[Member[Item, Answer]]:
        """Start the work in so many processes."""
        here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        beside: Member[Item, Answer] = LocalProcess(opener, 0, here)
        return [beside, *(_Rank(pipe, opener) for pipe in self._pipes[: count - 1])]

    def ready(self, busy: Sequence[Member[Item, Answer]]) -> list[Member[Item, Answer]]:
        """Wait until one or more of them have an answer, or died."""
        return wait_for(busy)


class _Rank(PipeMember[Item, Answer]):
    """A process of the launcher, which cannot be started again from here."""

    def __init__(self, pipe: Connection[Any, Any], opener: Opener[Item, Answer]) -> None:
        self.pipe = pipe
        send(pipe, opener)

    def start(self) -> None:
        raise SrkitError(
            "a process of the launcher ended before its work did; start all of them again, and "
            "the same command goes on"
        )

    def end(self) -> None:
        self.pipe.close()


@contextmanager
def ranks_to_share_with() -> Iterator[RankCrew]:
    """Gather the other processes of the launcher; for the first one."""
    world = int(os.environ["WORLD_SIZE"])
    key = os.urandom(32)
    with Listener(("", 0), backlog=world, authkey=key) as listener:
        _store().set(ADDRESS, f"{os.environ['MASTER_ADDR']} {listener.address[1]} {key.hex()}")
        pipes = [listener.accept() for _ in range(world - 1)]
        try:
            yield RankCrew(pipes)
        finally:
            for pipe in pipes:
                pipe.close()


def work_for_the_first() -> None:
    """Work for the first process of the launcher, if there is something to share at all."""
    host, port, key = bytes(_store().get(ADDRESS)).decode().split()
    with Client((host, int(port)), authkey=bytes.fromhex(key)) as pipe:
        try:
            opener = receive(pipe)
        except EOFError:
            return
        here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        serve(pipe, opener, int(os.environ.get("LOCAL_RANK", 0)), here)


def _store() -> Any:
    """Open what the processes of a launcher tell each other by."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store, _, _ = next(rendezvous("env://", rank, world, timeout=PATIENCE))
    return store
