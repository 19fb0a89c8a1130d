from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pairs_setup import Pictures
from srkit_pixels.augmentations import Flip, Rotate

from srkit.data.batches import evaluation_batches, stack, training_batches
from srkit.data.crops import Draws
from srkit.data.order import Share
from srkit.errors import DataError
from srkit.interfaces import Batch, Sample


def test_stack() -> None:
    draws = Draws(Pictures([(4, 4), (4, 4)]), 0, None, (), 2)
    drawn = [draws.draw(0, index) for index in (1, 0)]
    batch = stack(drawn)
    assert batch.names == ["1.png", "0.png"]
    assert batch.seeds == [item.seed for item in drawn]
    assert batch.labels is not None
    assert batch.labels.tolist() == [1, 0]
    assert batch.lr is not None
    torch.testing.assert_close(batch.hr[1], drawn[1].sample.hr)
    torch.testing.assert_close(batch.lr[1], drawn[1].sample.lr)


def same(found: Batch, expected: Batch) -> bool:
    assert found.lr is not None
    assert expected.lr is not None
    return (
        found.names == expected.names
        and found.seeds == expected.seeds
        and torch.equal(found.hr, expected.hr)
        and torch.equal(found.lr, expected.lr)
    )


def load(pictures: Pictures, workers: int, first: int = 0, last: int = 4) -> list[Batch]:
    draws = Draws(pictures, 3, 8, (Flip(), Rotate()), 2)
    share = Share(6, rank=1, processes=2)
    return list(training_batches({2: draws}, share, first, last, workers))


def test_worker_processes_do_not_change_batches() -> None:
    pictures = Pictures([(5 + i % 3, 6) for i in range(11)])
    alone, helped = load(pictures, 0), load(pictures, 2)
    assert len(alone) == len(helped) == 4
    assert all(same(*pair) for pair in zip(helped, alone, strict=True))


def test_loading_resumes_at_any_step() -> None:
    pictures = Pictures([(6, 6)] * 11)
    whole = load(pictures, 0, 0, 6)
    for first in range(6):
        rest = load(pictures, 0, first, 6)
        assert all(same(*pair) for pair in zip(rest, whole[first:], strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_file_is_named(workers: int) -> None:
    pictures = Pictures([(6, 6)] * 12, broken=7)
    draws, share = Draws(pictures, 0, 8, (), 2), Share(3)
    steps = [[index for _, index in step] for step in share.micro_batches(12, 0, 0, 4)]
    expected = next(number for number, step in enumerate(steps) if 7 in step)
    batches = training_batches({2: draws}, share, 0, 4, workers)
    for number in range(expected):
        assert next(batches).names == [f"{index}.png" for index in steps[number]]
    with pytest.raises(DataError, match=r"^7\.png: damaged; leave it out$"):
        next(batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_several_shapes_in_a_training_batch(workers: int) -> None:
    draws = Draws(Pictures([(4, 4), (4, 5)]), 0, None, (), 2)
    message = (
        r"(0\.png and 1\.png do not fit in one batch: HR shape \(3, 8, 8\) and \(3, 8, 10\)|"
        r"1\.png and 0\.png do not fit in one batch: HR shape \(3, 8, 10\) and \(3, 8, 8\)).*; "
        r"set data\.train\.crop, or the size of the data set"
    )
    with pytest.raises(DataError, match=f"^{message}$"):
        next(training_batches({2: draws}, Share(2), 0, 1, workers))


def names(dataset: Any, indices: Sequence[int], batch_size: int, workers: int) -> list[list[str]]:
    batches = evaluation_batches(dataset, indices, batch_size, 0, workers)
    return [[name.removesuffix(".png") for name in batch.names] for batch in batches]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_keeps_the_order(workers: int) -> None:
    pictures = Pictures([(4, 4), (4, 4), (3, 4), (4, 4), (4, 4), (4, 4), (4, 4)])
    found = names(pictures, range(7), 4, workers)
    assert found == [["0", "1"], ["2"], ["3"], ["4", "5", "6"]]
    assert names(pictures, [6, 2, 0, 1], 4, workers) == [["6"], ["2"], ["0", "1"]]


def test_evaluation_loads_whole_images() -> None:
    pictures = Pictures([(4, 5), (4, 5)])
    (batch,) = evaluation_batches(pictures, [1, 0], 2, 0, 0)
    torch.testing.assert_close(batch.hr[0], pictures[1].hr, rtol=0, atol=0)
    torch.testing.assert_close(batch.hr[1], pictures[0].hr, rtol=0, atol=0)


class Mixed(Pictures):
    """Pictures of one shape; the second has no label, the third a different data range."""

    def __getitem__(self, index: int) -> Sample:
        hr = torch.zeros(3, 4, 4)
        label = None if index == 1 else index
        return Sample(f"{index}.png", hr, None, label, (0.0, 5.0) if index == 2 else (0.0, 1.0))


def test_evaluation_does_not_mix_kinds() -> None:
    batches = list(evaluation_batches(Mixed([(4, 4)] * 5), range(5), 5, 0, 0))
    assert [batch.names for batch in batches] == [
        ["0.png"],
        ["1.png"],
        ["2.png"],
        ["3.png", "4.png"],
    ]
    assert [batch.labels is None for batch in batches] == [False, True, False, False]
    assert [batch.span for batch in batches] == [1.0, 1.0, 5.0, 1.0]
