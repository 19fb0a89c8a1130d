from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from pairs_setup import Pictures, enlarge
from srkit_pixels.augmentations import Flip, Rotate
from torch import Tensor

from srkit.data.crops import Draws, random_crop
from srkit.errors import DataError
from srkit.interfaces import Sample


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
def test_an_image_smaller_than_the_crop(shape: tuple[int, int]) -> None:
    height, width = shape
    message = (
        f"night/a.png: {width}x{height} pixels are too few for a crop of 8; choose a smaller "
        "data.train.crop, or remove the image"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        random_crop(Sample("night/a.png", torch.zeros(3, *shape)), 8, 2, np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(4, 4), (8, 9), (9, 8)])
def test_a_pair_that_does_not_fit_the_scale(shape: tuple[int, int]) -> None:
    height, width = shape
    sample = Sample("a.png", torch.zeros(3, 16, 16), torch.zeros(3, *shape))
    message = (
        f"a.png: LR of {width}x{height} pixels does not fit HR of 16x16 at scale 2; set the "
        "recipe's scale, or remove the pair"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        random_crop(sample, 8, 2, np.random.default_rng(0))


@pytest.mark.parametrize("lr_side", [5, 6])
def test_crops_of_a_pair_whose_hr_is_not_a_multiple(lr_side: int) -> None:
    """At scale 2, LR of 11 pixels has 5 or 6 pixels, depending on the rounding."""
    sample = Sample("a.png", torch.zeros(1, 11, 11), torch.zeros(1, lr_side, lr_side))
    for seed in range(50):
        cut = random_crop(sample, 10, 2, np.random.default_rng(seed))
        assert cut.lr is not None
        assert (cut.hr.shape, cut.lr.shape) == ((1, 10, 10), (1, 5, 5))


def orientations(image: Tensor) -> list[Tensor]:
    """Return the eight orientations: rotations of the image and of its mirror image."""
    return [
        torch.rot90(mirrored, turns, (-2, -1))
        for mirrored in (image, image.flip(-1))
        for turns in range(4)
    ]


@pytest.mark.parametrize(
    ("augment", "seen"),
    [((), {0}), ((Flip(),), {0, 2, 4, 6}), ((Flip(), Rotate()), set(range(8)))],
)
def test_augmentation_is_the_same_for_hr_and_lr(augment: tuple[Any, ...], seen: set[int]) -> None:
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
        draws = Draws(pictures, seed, 8, (Flip(),), 2)
        return [draws.draw(epoch, index).seed for epoch in range(3) for index in range(2)]

    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 12
    assert all(0 <= seed < 2**63 for seed in seeds(1))


def test_flips_and_rotations_are_those_of_earlier_versions() -> None:
    """A run that was started before augmentations were components resumes exactly."""
    pictures = Pictures([(9, 7), (8, 11)])
    draws = Draws(pictures, 4, 8, (Flip(), Rotate()), 2)
    for epoch in range(40):
        drawn = draws.draw(epoch, 1)
        rng = np.random.default_rng([4, epoch, 1])
        expected = random_crop(pictures[1], 8, 2, rng).hr
        across, down = (bool(rng.integers(2)) for _ in range(2))
        expected = expected.flip(-1) if across else expected
        expected = expected.flip(-2) if down else expected
        transposed, _ = (bool(rng.integers(2)) for _ in range(2))
        expected = expected.transpose(-1, -2) if transposed else expected
        assert torch.equal(drawn.sample.hr, expected)
        assert drawn.seed == int(rng.integers(2**63))


def test_mixed_in_images_have_their_share() -> None:
    few, many = Pictures([(4, 4)] * 3), Pictures([(6, 6)] * 50)
    draws = Draws(few, 1, None, (), 1, many, 0.25)
    sizes = [draws.draw(epoch, i).sample.hr.shape[-1] for epoch in range(400) for i in range(3)]
    assert sizes.count(12) / len(sizes) == pytest.approx(0.25, abs=0.04)
    again = Draws(few, 1, None, (), 1, many, 0.25)
    assert [again.draw(epoch, 2).seed for epoch in range(9)] == [
        draws.draw(epoch, 2).seed for epoch in range(9)
    ]
