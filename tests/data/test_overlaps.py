"""Images of different splits that overlap, by data sets that know their places."""

from __future__ import annotations

import json
from pathlib import Path

from accelerate import PartialState
from training_setup import make_pictures, make_tree

from srkit.assembly.assembly import Assembly
from srkit.components.registry import Registry
from srkit.data.overlaps import overlaps
from srkit.dataprep.check.issues import DataCheck, find_issues
from srkit.dataprep.check.measurements import Measurements
from srkit.dataprep.check.sources import DatasetImages
from srkit.interfaces import Dataset, Sample
from srkit.recipe.recipe import parse_recipe
from srkit.training.run_folder import open_folder
from srkit.weights.runs import overlaps_of_run


class Line:
    """Images on a line, each from its place to one further."""

    channels, classes, notes = 1, None, ()

    def __init__(self, *places: float) -> None:
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError

    def overlaps(self, other: Dataset) -> list[tuple[int, int, float]]:
        if not isinstance(other, Line):
            return []
        shares = [
            (i, j, 1 - abs(a - b))
            for i, a in enumerate(self.places)
            for j, b in enumerate(other.places)
        ]
        return [each for each in shares if each[2] > 0]


TRAIN, TEST = Line(0, 2, 4), Line(0.75, 2.5, 7, 9)
LINE = "2 of 4 images of test overlap images of train, by up to 50 % of their area"


def test_only_different_splits_are_compared() -> None:
    data: dict[str, Dataset] = {"train": TRAIN, "train.mix": Line(0.1), "test": TEST}
    assert [str(each) for each in overlaps(data)] == [
        LINE,
        "1 of 4 images of test overlap images of train.mix, by up to 35 % of their area",
    ]


def test_the_data_check_lists_them_by_their_share() -> None:
    images = {"train": DatasetImages(TRAIN, 2), "test": DatasetImages(TEST, 2)}
    check = DataCheck("set", images)
    for split, each in images.items():
        check.measured[split] = [
            Measurements(f"{split[0]}{i}", (4, 4), 1, digest=f"{split}{i}".encode())
            for i in range(len(each))
        ]
    (issue,) = find_issues(check)
    assert (issue.kind, issue.problem) == ("overlap", True)
    assert issue.text == (
        f"{LINE}, so that results are too good: leave them out, or let one data set divide all "
        "images with its option split"
    )
    assert issue.details == [
        "train: t1 and test: t1 share 50 % of the area of the smaller one",
        "train: t0 and test: t0 share 25 % of the area of the smaller one",
    ]


def test_a_run_records_them(tmp_path: Path, registry: Registry) -> None:
    recipe = parse_recipe(make_tree(make_pictures(tmp_path / "pictures", count=1)), "test.yaml")
    assembly = Assembly(recipe, 2, data={"train": TRAIN, "test": TEST})
    assert assembly.overlaps() == [LINE]
    open_folder(
        tmp_path / "run", assembly, PartialState(cpu=True), assembly.overlaps(), resume=False
    )
    assert json.loads((tmp_path / "run/environment.json").read_text())["overlaps"] == [LINE]
    assert overlaps_of_run(tmp_path / "run") == [LINE]
    assert overlaps_of_run(tmp_path) == []
