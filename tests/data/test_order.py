from __future__ import annotations

import re
from itertools import islice

import pytest

from srkit.data.order import Share, order
from srkit.errors import DataError


@pytest.mark.parametrize("length", [1, 2, 7])
def test_each_epoch_is_a_permutation(length: int) -> None:
    tickets = list(islice(order(length, 5), 4 * length))
    for epoch in range(4):
        of_pass = tickets[epoch * length : (epoch + 1) * length]
        assert {number for number, _ in of_pass} == {epoch}
        assert sorted(index for _, index in of_pass) == list(range(length))


def test_each_epoch_and_seed_has_its_own_order() -> None:
    orders = {
        tuple(index for number, index in islice(order(20, seed), 60) if number == epoch)
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_the_order_resumes_at_any_position() -> None:
    whole = list(islice(order(7, 3), 60))
    for first in range(40):
        assert list(islice(order(7, 3, first), 20)) == whole[first : first + 20]


@pytest.mark.parametrize(("processes", "parts"), [(1, 1), (1, 3), (2, 1), (2, 3), (4, 3), (12, 1)])
@pytest.mark.parametrize("first", [0, 3])
def test_shares_of_all_processes_are_the_step(processes: int, parts: int, first: int) -> None:
    length, last = 17, 6
    whole = list(Share(12).micro_batches(length, 1, first, last))
    assert [len(step) for step in whole] == [12] * (last - first)
    ranks = [
        list(Share(12, rank, processes, parts).micro_batches(length, 1, first, last))
        for rank in range(processes)
    ]
    for number, step in enumerate(whole):
        together = [
            ticket
            for part in range(parts)
            for batches in ranks
            for ticket in batches[number * parts + part]
        ]
        assert together == step


def test_a_batch_that_cannot_be_split() -> None:
    message = (
        "training.batch_size: 10 samples cannot be split evenly over 2 processes and "
        "training.accumulate = 3 parts; choose a multiple of 6"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Share(10, 0, 2, 3)
