"""The order of samples in training, and the share of each process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit.interfaces import GroupedDataset

#: Epoch and index of a sample: which one to draw, and with which random numbers.
Ticket = tuple[int, int]


def order(
    length: int, seed: int, first: int = 0, grouped: GroupedDataset | None = None
) -> Iterator[Ticket]:
    """Iterate endlessly over the samples from position `first`, each epoch in its own order.

    Of grouped data, the groups are shuffled, and the samples of a few groups at a time.
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
    """Yield the shuffled indices of a few groups at a time.

    Groups that lie within the first `skipped` samples are not expected, since they are not read.
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
    """The share of each step that one process computes, and in how many parts.

    Parameters
    ----------
    batch_size
        Samples of a step, over all processes and parts.
    rank, processes
        Index of this process, and their number.
    parts
        Micro-batches whose gradients each process accumulates in a step.
    """

    batch_size: int
    rank: int = 0
    processes: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % (self.processes * self.parts):
            raise DataError(
                f"training.batch_size: {self.batch_size} samples cannot be split evenly over "
                f"{self.processes} processes and training.accumulate = {self.parts} parts; choose "
                f"a multiple of {self.processes * self.parts}"
            )

    def micro_batches(
        self,
        length: int,
        seed: int,
        first_step: int,
        last_step: int,
        grouped: GroupedDataset | None = None,
    ) -> Iterator[list[Ticket]]:
        """Iterate over the micro-batches of this process, `parts` per step.

        Step s uses the samples from position ``s * batch_size`` of :func:`order`, whatever the
        number of processes, so that a run is the same on one machine or eight.
        """
        tickets = order(length, seed, first_step * self.batch_size, grouped)
        size = self.batch_size // (self.processes * self.parts)
        for _ in range(first_step, last_step):
            step = [next(tickets) for _ in range(self.batch_size)]
            for part in range(self.parts):
                start = (part * self.processes + self.rank) * size
                yield step[start : start + size]
