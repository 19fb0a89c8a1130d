"""Samples that do not fit are found by their sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srkit.data.survey import sizes_of, survey
from srkit.errors import ContractError
from srkit.interfaces import Extent, Sample, Sizes, Window


class Sized:
    """Samples of given sizes, none of which is read."""

    channels, classes, notes = 3, None, ()

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    def __len__(self) -> int:
        return len(self._sizes.hr)

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError("it must not be read")

    def sizes(self) -> Sizes:
        return self._sizes

    def name(self, index: int) -> str:
        return f"{index}.png"


class Windowed(Sized):
    """States the size of one sample at a time."""

    sizes = None  # type: ignore[assignment]

    def extent(self, index: int) -> Extent:
        (height, width), lr = self._sizes.hr[index], self._sizes.lr
        return Extent(f"{index}.png", (height, width), None if lr is None else tuple(lr[index]))

    def window(self, index: int, window: Window) -> Sample:
        raise AssertionError("it must not be read")


def surveyed(
    hr: list[tuple[int, int]],
    lr: list[tuple[int, int]] | None = None,
    *,
    crop: int | None = None,
    equal: bool = False,
    unreadable: dict[int, str] | None = None,
) -> list[str]:
    sizes = Sizes(np.array(hr), None if lr is None else np.array(lr), unreadable or {})
    found = []
    for dataset in [Sized(sizes)] if unreadable else [Sized(sizes), Windowed(sizes)]:
        known = sizes_of(dataset)
        assert known is not None
        found.append(list(survey(dataset, known, crop=crop, scale=2, equal=equal)))
    assert all(each == found[0] for each in found)
    return found[0]


def test_pictures_that_are_smaller_than_the_crop() -> None:
    sides = [(16, 15), (16, 16), *[(9, 40)] * 3]
    rest = "pixels are too few for a crop of 16; choose a smaller data.train.crop, or remove the "
    assert surveyed(sides, crop=16) == [
        f"0.png: 15x16 {rest}image",
        f"2.png: 40x9 {rest}image",
        f"3.png: 40x9 {rest}image",
        "1 more of 5 images have the same problem",
    ]
    assert surveyed(sides, crop=9) == []
    assert surveyed(sides) == []


def test_pairs_whose_sizes_do_not_fit() -> None:
    fitting = [((20, 30), (10, 15)), ((21, 31), (10, 15)), ((21, 31), (11, 16))]
    assert surveyed(*map(list, zip(*fitting, strict=True)), crop=8) == []
    assert surveyed([(20, 30), (20, 30)], [(10, 15), (10, 14)]) == [
        "1.png: LR of 14x10 pixels does not fit HR of 30x20 at scale 2; set the recipe's scale, or "
        "remove the pair"
    ]


def test_whole_images_of_a_batch_have_one_size() -> None:
    assert surveyed([(8, 8), (8, 8), (8, 9)], equal=True) == [
        "0.png and 2.png do not fit in one batch: HR of 8x8 and 9x8 pixels; set data.train.crop, "
        "or the size of the data set"
    ]
    assert surveyed([(8, 9), (8, 9)], equal=True) == []


def test_unreadable_samples_have_no_size() -> None:
    found = surveyed([(0, 0), (8, 8)], crop=8, equal=True, unreadable={0: "0.png: is empty"})
    assert found == ["0.png: is empty"]


def test_a_data_set_that_knows_no_sizes() -> None:
    class Plain:
        channels, classes, notes = 3, None, ()

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Sample:
            return Sample("a", torch.zeros(3, 2, 2))

    assert sizes_of(Plain()) is None


def test_sizes_of_another_number_of_samples() -> None:
    class Short(Sized):
        def __len__(self) -> int:
            return 3

    with pytest.raises(ContractError, match=r"sizes\(\)\.hr must have the shape \(3, 2\)"):
        sizes_of(Short(Sizes(np.zeros((2, 2), np.int64))))
