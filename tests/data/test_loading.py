from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from srkit.data.crops import Draws, random_crop
from srkit.data.loading import evaluation_batches, stack, training_batches
from srkit.data.order import Share, order
from srkit.errors import DataError
from srkit.interfaces import Batch, Sample


def enlarge(images: Tensor, scale: int) -> Tensor:
    """Repeat each pixel, so that an LR pixel can be recognised in HR."""
    return images.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


class Pictures:
    """Random pictures of the given LR shapes, HR being their pixels repeated."""

    channels = 3
    classes: Sequence[str] | None = None
    notes: Sequence[str] = ()

    def __init__(
        self, shapes: Sequence[tuple[int, int]], scale: int = 2, broken: int | None = None
    ) -> None:
        self.shapes, self.scale, self.broken = shapes, scale, broken

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken:
            raise DataError(f"{index}.png: damaged; leave it out")
        chance = torch.Generator().manual_seed(index)
        lr = torch.rand(3, *self.shapes[index], generator=chance)
        return Sample(f"{index}.png", enlarge(lr, self.scale), lr, label=index)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_each_pass_is_a_permutation(length: int) -> None:
    tickets = list(islice(order(length, 5), 4 * length))
    for epoch in range(4):
        of_pass = tickets[epoch * length : (epoch + 1) * length]
        assert {number for number, _ in of_pass} == {epoch}
        assert sorted(index for _, index in of_pass) == list(range(length))


def test_each_pass_and_each_seed_has_its_own_order() -> None:
    orders = {
        tuple(index for number, index in islice(order(20, seed), 60) if number == epoch)
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_order_goes_on_from_any_position() -> None:
    whole = list(islice(order(7, 3), 60))
    for first in range(40):
        assert list(islice(order(7, 3, first), 20)) == whole[first : first + 20]


@pytest.mark.parametrize(("processes", "parts"), [(1, 1), (1, 3), (2, 1), (2, 3), (4, 3), (12, 1)])
@pytest.mark.parametrize("first", [0, 3])
def test_shares_make_up_the_step(processes: int, parts: int, first: int) -> None:
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


def test_uneven_share() -> None:
    message = (
        "training.batch_size: 10 samples cannot be split evenly over 2 processes and "
        "training.accumulate = 3 parts"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Share(10, 0, 2, 3)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_crops_of_pairs_are_aligned(scale: int) -> None:
    sample = Pictures([(5, 6)], scale)[0]
    corners = set()
    for seed in range(200):
        cut = random_crop(sample, 4 * scale, scale, np.random.default_rng(seed))
        assert cut.lr is not None
        assert cut.lr.shape == (3, 4, 4)
        torch.testing.assert_close(cut.hr, enlarge(cut.lr, scale), rtol=0, atol=0)
        corners.add(float(cut.lr[0, 0, 0]))
    assert sample.lr is not None
    assert corners == set(sample.lr[0, :2, :3].flatten().tolist())


def test_crops_reach_every_place() -> None:
    hr = torch.arange(30.0).view(1, 5, 6)
    corners = set()
    for seed in range(200):
        cut = random_crop(Sample("a", hr), 4, 2, np.random.default_rng(seed)).hr
        corner = int(cut[0, 0, 0])
        y, x = divmod(corner, 6)
        torch.testing.assert_close(cut, hr[:, y : y + 4, x : x + 4], rtol=0, atol=0)
        corners.add((y, x))
    assert corners == {(y, x) for y in range(2) for x in range(3)}


@pytest.mark.parametrize("shape", [(8, 7), (7, 9)])
def test_picture_smaller_than_the_crop(shape: tuple[int, int]) -> None:
    height, width = shape
    message = (
        f"night/a.png: {width}x{height} pixels are too few for a crop of 8; choose a smaller "
        "data.train.crop, or leave the picture out"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        random_crop(Sample("night/a.png", torch.zeros(3, *shape)), 8, 2, np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(4, 4), (8, 9), (9, 8)])
def test_pair_of_another_scale(shape: tuple[int, int]) -> None:
    height, width = shape
    sample = Sample("a.png", torch.zeros(3, 16, 16), torch.zeros(3, *shape))
    message = (
        f"a.png: LR of {width}x{height} pixels does not fit HR of 16x16 at scale 2; set the "
        "recipe's scale, or leave the pair out"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        random_crop(sample, 8, 2, np.random.default_rng(0))


@pytest.mark.parametrize("lr_side", [5, 6])
def test_crop_of_a_pair_whose_hr_is_no_multiple(lr_side: int) -> None:
    """LR of 11 pixels at scale 2 has 5 or 6, as it was rounded; both are cut inside HR."""
    sample = Sample("a.png", torch.zeros(1, 11, 11), torch.zeros(1, lr_side, lr_side))
    for seed in range(50):
        cut = random_crop(sample, 10, 2, np.random.default_rng(seed))
        assert cut.lr is not None
        assert (cut.hr.shape, cut.lr.shape) == ((1, 10, 10), (1, 5, 5))


def orientations(image: Tensor) -> list[Tensor]:
    """List the eight, by quarter turns of the image and of its mirror image."""
    return [
        torch.rot90(mirrored, turns, (-2, -1))
        for mirrored in (image, image.flip(-1))
        for turns in range(4)
    ]


@pytest.mark.parametrize(
    ("augment", "seen"),
    [((), {0}), (("flip",), {0, 2, 4, 6}), (("flip", "rotate"), set(range(8)))],
)
def test_augmentation_turns_both_images_alike(augment: tuple[str, ...], seen: set[int]) -> None:
    pictures = Pictures([(3, 3)])
    known = orientations(pictures[0].hr)
    draws = Draws(pictures, 0, None, augment, 2)
    counts: Counter[int] = Counter()
    for epoch in range(400):
        drawn = draws.draw(epoch, 0).sample
        assert drawn.lr is not None
        torch.testing.assert_close(drawn.hr, enlarge(drawn.lr, 2), rtol=0, atol=0)
        counts[next(i for i, image in enumerate(known) if torch.equal(image, drawn.hr))] += 1
    assert set(counts) == seen
    expected = 400 / len(seen)
    assert all(abs(count - expected) < 4 * expected**0.5 for count in counts.values())


def test_draws_are_a_function_of_seed_epoch_and_index() -> None:
    pictures = Pictures([(6, 6), (6, 6)])

    def seeds(seed: int) -> list[int]:
        draws = Draws(pictures, seed, 8, ("flip",), 2)
        return [draws.draw(epoch, index).seed for epoch in range(3) for index in range(2)]

    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 12
    assert all(0 <= seed < 2**63 for seed in seeds(1))


def test_mixed_in_images_come_at_their_odds() -> None:
    few, many = Pictures([(4, 4)] * 3), Pictures([(6, 6)] * 50)
    draws = Draws(few, 1, None, (), 1, many, 0.25)
    sizes = [draws.draw(epoch, i).sample.hr.shape[-1] for epoch in range(400) for i in range(3)]
    assert sizes.count(12) / len(sizes) == pytest.approx(0.25, abs=0.04)
    again = Draws(few, 1, None, (), 1, many, 0.25)
    assert [again.draw(epoch, 2).seed for epoch in range(9)] == [
        draws.draw(epoch, 2).seed for epoch in range(9)
    ]


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
    draws = Draws(pictures, 3, 8, ("flip", "rotate"), 2)
    share = Share(6, rank=1, processes=2)
    return list(training_batches({2: draws}, share, first, last, workers, pin=False))


def test_worker_processes_change_nothing() -> None:
    pictures = Pictures([(5 + i % 3, 6) for i in range(11)])
    alone, helped = load(pictures, 0), load(pictures, 2)
    assert len(alone) == len(helped) == 4
    assert all(same(*pair) for pair in zip(helped, alone, strict=True))


def test_loading_goes_on_from_any_step() -> None:
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
    batches = training_batches({2: draws}, share, 0, 4, workers, pin=False)
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
        r"set data\.train\.crop, or the data set's size"
    )
    with pytest.raises(DataError, match=f"^{message}$"):
        next(training_batches({2: draws}, Share(2), 0, 1, workers, pin=False))


def names(dataset: Any, indices: Sequence[int], batch_size: int, workers: int) -> list[list[str]]:
    batches = evaluation_batches(dataset, indices, batch_size, 0, workers)
    return [[name.removesuffix(".png") for name in batch.names] for batch in batches]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_keeps_the_order(workers: int) -> None:
    pictures = Pictures([(4, 4), (4, 4), (3, 4), (4, 4), (4, 4), (4, 4), (4, 4)])
    found = names(pictures, range(7), 4, workers)
    assert found == [["0", "1"], ["2"], ["3"], ["4", "5", "6"]]
    assert names(pictures, [6, 2, 0, 1], 4, workers) == [["6"], ["2"], ["0", "1"]]


def test_evaluation_gives_whole_images() -> None:
    pictures = Pictures([(4, 5), (4, 5)])
    (batch,) = evaluation_batches(pictures, [1, 0], 2, 0, 0)
    torch.testing.assert_close(batch.hr[0], pictures[1].hr, rtol=0, atol=0)
    torch.testing.assert_close(batch.hr[1], pictures[0].hr, rtol=0, atol=0)


class Mixed(Pictures):
    """Pictures of one shape; the second has no label, the third another data range."""

    def __getitem__(self, index: int) -> Sample:
        hr = torch.zeros(3, 4, 4)
        label = None if index == 1 else index
        return Sample(f"{index}.png", hr, None, label, (0.0, 5.0) if index == 2 else (0.0, 1.0))


def test_evaluation_mixes_no_kinds() -> None:
    batches = list(evaluation_batches(Mixed([(4, 4)] * 5), range(5), 5, 0, 0))
    assert [batch.names for batch in batches] == [
        ["0.png"],
        ["1.png"],
        ["2.png"],
        ["3.png", "4.png"],
    ]
    assert [batch.labels is None for batch in batches] == [False, True, False, False]
    assert [batch.span for batch in batches] == [1.0, 1.0, 5.0, 1.0]
