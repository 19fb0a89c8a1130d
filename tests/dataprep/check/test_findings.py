"""What is wrong with images, from what each looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from srkit.dataprep.check.findings import JUDGES, Checked, Finding, Groups, Place, near
from srkit.dataprep.check.measures import Look
from srkit.interfaces import Sample, Task

RNG = np.random.default_rng(0)


def look(number: int, **given: Any) -> Look:
    """An image unlike any other."""
    small = RNG.normal(size=(32, 32)).astype(np.float32)
    plain = Look(
        f"{number}.png",
        (64, 64),
        3,
        low=0.0,
        high=1.0,
        digest=bytes([number]),
        hash=int(RNG.integers(2**63)),
        small=small / small.std(),
    )
    return replace(plain, **given)


@dataclass
class Of:
    """A number of images."""

    count: int
    classes: int | None = None
    scale: int | None = 2

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> tuple[Sample, str]:
        raise AssertionError


def judge(classes: int | None = None, **splits: Sequence[Look | None]) -> list[Finding]:
    images = {name: Of(len(looks), classes) for name, looks in splits.items()}
    checked = Checked("set", images, {name: list(looks) for name, looks in splits.items()})
    return [finding for find in JUDGES for finding in find(checked)]


def told(found: list[Finding]) -> list[tuple[bool, str, list[str]]]:
    return [(finding.problem, finding.text, list(finding.details)) for finding in found]


def test_nothing_is_found_in_good_images() -> None:
    good = [look(i, lr_size=(32, 32), shift=(0.1, -0.3)) for i in range(5)]
    assert judge(train=good[:3], test=good[3:]) == []


def test_equal_images_of_two_splits_are_a_problem_and_of_one_a_note() -> None:
    one = look(1)
    assert told(judge(train=[one, look(2)], test=[replace(one, name="copy.png")])) == [
        (
            True,
            "1 group of images that are equal, value by value, in several splits",
            ["train: 1.png = test: copy.png"],
        )
    ]
    assert told(judge(train=[one, look(2), replace(one, name="copy.png")])) == [
        (
            False,
            "1 group of images that are equal, value by value, in one split",
            ["1.png = copy.png"],
        )
    ]


def test_images_alike_are_found_though_their_values_differ() -> None:
    one = look(1)
    assert one.hash is not None
    assert one.small is not None
    noisy = one.small + 0.05 * RNG.normal(size=(32, 32)).astype(np.float32)
    other = replace(one, name="small.jpg", digest=b"other", hash=one.hash ^ 0b101, small=noisy)
    ((problem, text, details),) = told(judge(train=[one], test=[other]))
    assert problem
    assert text == "1 group of images that show the same, in several splits"
    assert details == ["train: 1.png = test: small.jpg"]
    # Hashes may agree by chance; what the images show then does not.
    assert judge(train=[one], test=[replace(look(3), hash=one.hash)]) == []
    # Equal ones are told of once.
    assert len(judge(train=[one, replace(one, name="again.png")])) == 1


@pytest.mark.parametrize(
    ("changes", "text", "detail"),
    [
        (
            {"lr_size": (32, 30)},
            "1 pair whose sizes are not the scale apart",
            "0.png: HR 64x64, LR 30x32, scale 2",
        ),
        (
            {"lr_size": (32, 32), "shift": (0.8, -0.1)},
            "1 pair that lie 0.5 LR pixels apart or more",
            "0.png: LR is +0.80 pixels down and -0.10 to the right",
        ),
        ({"unfinite": 7}, "1 image with values that are NaN or infinite", "0.png: 7 values"),
        ({"flat": True, "hash": None}, "1 image of one value only", "0.png"),
    ],
)
def test_problems_of_one_image(changes: dict[str, Any], text: str, detail: str) -> None:
    assert told(judge(train=[look(0, **changes), look(1)])) == [(True, text, [detail])]


def test_classes_without_images_and_with_few() -> None:
    looks = [look(i, label=0) for i in range(22)] + [look(30, label=2), look(31, label=2)]
    assert told(judge(classes=3, train=looks)) == [
        (False, "train: 1 of 3 classes have no image", []),
        (False, "train: class 0 has 22 images, class 2 only 2", []),
    ]


def test_a_mixture_of_kinds() -> None:
    looks = [look(0, kind="8 bits"), look(1, kind="8 bits"), look(2, channels=1, kind="16 bits")]
    assert told(judge(files=looks)) == [
        (False, "files: 2 of 3 channels, 8 bits; 1 of 1 channel, 16 bits", [])
    ]


def test_images_that_cannot_be_read() -> None:
    checked = Checked("set", {"files": Of(2)}, {"files": [None, look(1)]})
    checked.errors[Place("files", 0)] = "a.jpg: is empty"
    found = [finding for find in JUDGES for finding in find(checked)]
    assert told(found) == [(True, "1 image cannot be read", ["a.jpg: is empty"])]


def test_near_hashes_are_those_of_comparing_all() -> None:
    """Few bits vary, so that many of the hashes are near."""
    hashes = RNG.integers(2**64, size=300, dtype=np.uint64)
    for i in range(100):
        flips = RNG.choice(64, RNG.integers(1, 6), replace=False)
        hashes[i] = hashes[i + 100] ^ np.uint64(sum(1 << int(bit) for bit in flips))
    expected = {
        (i, j)
        for i in range(300)
        for j in range(i + 1, 300)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 3
    }
    found = list(near(hashes))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert 20 < len(expected) < 100


def test_groups_are_joined_through_others() -> None:
    groups = Groups(6)
    for pair in ((0, 1), (3, 4), (4, 0)):
        groups.join(*pair)
    assert groups.several() == [[0, 1, 3, 4]]


def truths(told: dict[str, tuple[Task, int]], *looks: Look) -> list[tuple[bool, str, list[str]]]:
    checked = Checked("set", {"test": Of(len(looks))}, {"test": list(looks)}, told=told)
    found = [finding for find in JUDGES for finding in find(checked)]
    return [(f.problem, f.text, list(f.details)) for f in found if f.kind == "truth"]


def test_classes_that_a_teacher_does_not_tell() -> None:
    masks = [look(1, drawn=(0, 1)), look(2, drawn=(0, 7, 9)), look(3)]
    net: dict[str, tuple[Task, int]] = {"net": ("segmentation", 3)}
    text = "1 image of classes that teacher 'net' does not tell"
    assert truths(net, *masks) == [(True, text, ["2.png: 7, 9; expected 0 to 2"])]
    assert truths({"net": ("classification", 3)}, *masks) == []
    assert truths({"net": ("detection", 3)}, *masks) == []
    boxes = [look(1, drawn=(1, 2), boxed=True), look(2, drawn=(0,), boxed=True)]
    expected = [(True, text, ["2.png: 0; expected 1 to 2"])]
    assert truths({"net": ("detection", 3)}, *boxes) == expected
    assert truths(net, *boxes) == []
    labels = [look(1, label=2), look(2, label=3)]
    expected = [(True, text, ["2.png: 3; expected 0 to 2"])]
    assert truths({"net": ("classification", 3)}, *labels) == expected


def test_masks_of_a_single_class_are_told() -> None:
    """Of 0 and 255 the second is unknown by default, which is seldom meant."""
    one = look(1, drawn=(0,), unknown=0.25)
    text = "test: masks hold class 0 alone; 25% of the pixels are unknown: is that value a class?"
    assert truths({}, one) == [(False, text, [])]
    assert truths({}, one, look(2, drawn=(0, 1))) == []
