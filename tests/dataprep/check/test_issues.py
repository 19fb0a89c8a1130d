"""Issues of images, from the measurements of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from srkit.dataprep.check.issues import DataCheck, ImageId, Issue, find_issues
from srkit.dataprep.check.measurements import Measurements
from srkit.dataprep.check.shifts import Shift
from srkit.interfaces import Sample, Task

RNG = np.random.default_rng(0)


def image(number: int, **given: Any) -> Measurements:
    """Measurements of an image unlike any other."""
    grey = RNG.normal(size=(32, 32)).astype(np.float32)
    plain = Measurements(
        f"{number}.png",
        (64, 64),
        3,
        low=0.0,
        high=1.0,
        digest=bytes([number]),
        hash=int(RNG.integers(2**63)),
        grey=grey / grey.std(),
    )
    return replace(plain, **given)


@dataclass
class Count:
    """A number of images."""

    count: int
    classes: int | None = None
    scale: int | None = 2
    crop: int | None = None

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> tuple[Sample, str]:
        raise AssertionError


def check(
    classes: int | None = None,
    teachers: dict[str, tuple[Task, int]] | None = None,
    **splits: Sequence[Measurements | None],
) -> list[Issue]:
    images = {name: Count(len(measured), classes) for name, measured in splits.items()}
    measured = {name: list(each) for name, each in splits.items()}
    return find_issues(DataCheck("set", images, measured, teachers=teachers or {}))


def reported(issues: list[Issue]) -> list[tuple[bool, str, list[str]]]:
    return [(issue.problem, issue.text, list(issue.details)) for issue in issues]


def test_good_images_have_no_issues() -> None:
    good = [image(i, lr_size=(32, 32), shift=Shift(0.1, -0.3, 0.01)) for i in range(5)]
    assert check(train=good[:3], test=good[3:]) == []


def test_identical_images_are_a_problem_across_splits_and_a_note_within_one() -> None:
    one = image(1)
    assert reported(check(train=[one, image(2)], test=[replace(one, name="copy.png")])) == [
        (True, "1 group of identical images in different splits", ["train: 1.png = test: copy.png"])
    ]
    assert reported(check(train=[one, image(2), replace(one, name="copy.png")])) == [
        (False, "1 group of identical images in one split", ["1.png = copy.png"])
    ]


def test_similar_images_are_found_though_their_values_differ() -> None:
    one = image(1)
    assert one.hash is not None
    assert one.grey is not None
    noisy = one.grey + 0.05 * RNG.normal(size=(32, 32)).astype(np.float32)
    other = replace(one, name="small.jpg", digest=b"other", hash=one.hash ^ 0b101, grey=noisy)
    ((problem, text, details),) = reported(check(train=[one], test=[other]))
    assert problem
    assert text == "1 group of similar images in different splits"
    assert details == ["train: 1.png = test: small.jpg"]
    # Hashes may agree by chance, but then the images do not.
    assert check(train=[one], test=[replace(image(3), hash=one.hash)]) == []
    # Identical images are not reported as similar, too.
    assert len(check(train=[one, replace(one, name="again.png")])) == 1


@pytest.mark.parametrize(
    ("changes", "text", "detail"),
    [
        (
            {"lr_size": (32, 30)},
            "1 pair with sizes that do not fit the scale",
            "0.png: HR 64x64, LR 30x32, scale 2",
        ),
        (
            {"lr_size": (32, 32), "shift": Shift(0.8, -0.1, 0.06)},
            "1 pair shifted by more than 0.5 LR pixels, beyond the error of the measurement",
            "0.png: LR is +0.80 pixels down and -0.10 to the right, ± 0.06",
        ),
        ({"not_finite": 7}, "1 image with values that are NaN or infinite", "0.png: 7 values"),
        ({"flat": True, "hash": None}, "1 image with a single value", "0.png"),
    ],
)
def test_problems_of_one_image(changes: dict[str, Any], text: str, detail: str) -> None:
    assert reported(check(train=[image(0, **changes), image(1)])) == [(True, text, [detail])]


def test_classes_without_images_and_with_few() -> None:
    images = [image(i, label=0) for i in range(22)] + [image(30, label=2), image(31, label=2)]
    assert reported(check(classes=3, train=images)) == [
        (False, "train: 1 of 3 classes have no image", []),
        (False, "train: class 0 has 22 images, class 2 only 2", []),
    ]


def test_several_kinds_of_images() -> None:
    images = [
        image(0, kind="8 bits"),
        image(1, kind="8 bits"),
        image(2, channels=1, kind="16 bits"),
    ]
    text = "files: several kinds of images: 2 with 3 channels, 8 bits; 1 with 1 channel, 16 bits"
    assert reported(check(files=images)) == [(False, text, [])]


def test_images_that_cannot_be_read() -> None:
    broken = DataCheck("set", {"files": Count(2)}, {"files": [None, image(1)]})
    broken.errors[ImageId("files", 0)] = "a.jpg: is empty"
    expected = [(True, "1 image cannot be read", ["a.jpg: is empty"])]
    assert reported(find_issues(broken)) == expected


NO_SUCH_CLASS = "1 image with classes that teacher 'net' does not have"


@pytest.mark.parametrize("task", ["segmentation", "classification", "detection"])
def test_classes_that_a_teacher_does_not_have(task: Task) -> None:
    images: dict[str, Sequence[Measurements]] = {
        "segmentation": [image(1, classes=(0, 1)), image(2, classes=(0, 7, 9)), image(3)],
        "detection": [image(4, classes=(1, 2), boxed=True), image(5, classes=(0,), boxed=True)],
        "classification": [image(6, label=2), image(7, label=3)],
    }
    details = {
        "segmentation": "2.png: 7, 9; expected 0 to 2",
        "detection": "5.png: 0; expected 1 to 2",
        "classification": "7.png: 3; expected 0 to 2",
    }
    teachers: dict[str, tuple[Task, int]] = {"net": (task, 3)}
    for kind, given in images.items():
        # Masks, boxes and labels are compared with teachers of their own task only.
        expected = [(True, NO_SUCH_CLASS, [details[kind]])] if kind == task else []
        assert reported(check(teachers=teachers, test=given)) == expected


def test_masks_with_a_single_class() -> None:
    """Of 0 and 255 the second is unknown by default, which is seldom meant."""
    one = image(1, classes=(0,), unknown=0.25)
    text = "test: masks contain class 0 only, and 25% of the pixels are unknown; is that a class?"
    assert reported(check(test=[one])) == [(False, text, [])]
    assert check(test=[one, image(2, classes=(0, 1))]) == []
