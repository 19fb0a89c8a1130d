"""The order of samples, and each process's share of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit.interfaces import GroupedDataset

#: Which sample, in which pass over the data.
Ticket = tuple[int, int]


def order(
    length: int, seed: int, first: int = 0, grouped: GroupedDataset | None = None
) -> Iterator[Ticket]:
    """Iterate without end over the data from position `first`, each pass in its own order.

    With groups, each pass shuffles them, and the samples of some of them at a time.
    """
    epoch, skipped = divmod(first, length)
    for number in count(epoch):
        if grouped is None:
            pieces = iter([np.random.default_rng([seed, number]).permutation(length)])
        else:
            pieces = _shuffled_groups(grouped, seed, number, skipped)
        for piece in pieces:
            for index in piece[skipped:]:
                yield number, int(index)
            skipped = max(0, skipped - len(piece))


def _shuffled_groups(
    grouped: GroupedDataset, seed: int, epoch: int, skipped: int
) -> Iterator[NDArray[np.int64]]:
    """Shuffle the groups of a pass, and the samples of some of them at a time.

    Those behind which `skipped` samples end are not expected, since nothing of them is read.
    """
    starts = np.cumsum([0, *grouped.groups])
    chosen = np.random.default_rng([seed, epoch]).permutation(len(grouped.groups))
    sets = [chosen[i : i + grouped.together] for i in range(0, len(chosen), grouped.together)]
    position = 0
    for place, groups in enumerate(sets):
        piece = np.concatenate([np.arange(starts[g], starts[g + 1]) for g in groups])
        position += len(piece)
        if position > skipped:
            for needed in sets[place : place + 2]:
                grouped.expect(needed.tolist())
        np.random.default_rng([seed, epoch, place]).shuffle(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class Share:
    """The part of every step that one process computes at a time.

    Parameters
    ----------
    batch_size
        Samples of a whole step, over all processes and parts.
    rank, processes
        Which process of how many.
    parts
        Micro-batches that each process adds up before it changes the weights.
    """

    batch_size: int
    rank: int = 0
    processes: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % (self.processes * self.parts):
            raise DataError(
                f"training.batch_size: {self.batch_size} samples cannot be split evenly over "
                f"{self.processes} processes and training.accumulate = {self.parts} parts"
            )

    def micro_batches(
        self,
        length: int,
        seed: int,
        first_step: int,
        last_step: int,
        grouped: GroupedDataset | None = None,
    ) -> Iterator[list[Ticket]]:
        """Iterate over this process's micro-batches, `parts` a step.

        Step s takes the samples from position ``s * batch_size`` on in :func:`order`, whatever the
        number of processes, so that a run is the same on one machine or eight.
        """
        tickets = order(length, seed, first_step * self.batch_size, grouped)
        size = self.batch_size // (self.processes * self.parts)
        for _ in range(first_step, last_step):
            step = [next(tickets) for _ in range(self.batch_size)]
            for part in range(self.parts):
                start = (part * self.processes + self.rank) * size
                yield step[start : start + size]
