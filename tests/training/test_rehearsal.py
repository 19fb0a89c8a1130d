"""Problems that only the data show are reported before a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import PartialState
from astropy.io import fits
from PIL import Image as Pillow
from training_setup import TEACHER, extended, make_pictures, make_tree, run, validated

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.interfaces import Sample
from srkit.recipe.recipe import parse_recipe
from srkit.training.rehearsal import rehearse

SEGMENTER = {
    "net": {"type": "torchvision_segmentation", "model": "lraspp_mobilenet_v3_large"}
    | {"weights": "random", "classes": 3}
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def problems_of(registry: Registry, tree: Mapping[str, Any], **options: Any) -> list[str]:
    recipe = parse_recipe(tree, "test.yaml")
    assembly = assemble(recipe, registry, "test.yaml", splits=SPLITS, download=False)
    try:
        rehearse(assembly, PartialState(cpu=True), "test.yaml", **options)
    except RecipeError as error:
        return list(error.problems)
    return []


def test_a_good_recipe_passes(registry: Registry, pictures: Path) -> None:
    changes = {"teachers": TEACHER, "losses": {"logit_mse": {}}, "metrics": {"accuracy": {}}}
    assert problems_of(registry, make_tree(pictures, validated(pictures), changes)) == []


def test_a_metric_without_ground_truth(registry: Registry, pictures: Path) -> None:
    changes: dict[str, Any] = {"teachers": SEGMENTER, "metrics": {"miou": {}}}
    changes["evaluation"] = {"labels": "dataset"}
    tree = make_tree(pictures, validated(pictures), changes)
    message = "the metric 'miou' needs masks, but the data have none"
    found = problems_of(registry, tree)
    assert [problem.partition(";")[0] for problem in found] == [
        f"data.validation: {message}",
        f"data.test: {message}",
    ]
    tree["evaluation"] = {"labels": "teacher"}
    assert problems_of(registry, tree) == []


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            {"soft_iou": {"classes": [99]}},
            "the loss 'soft_iou': the teacher has 3 classes, no class 99",
        ),
        ({"cross_entropy": {}}, "the loss 'cross_entropy' needs masks, but the data have none"),
    ],
)
def test_a_loss_that_does_not_fit_the_data(
    registry: Registry, pictures: Path, loss: Mapping[str, Any], message: str
) -> None:
    tree = make_tree(pictures, {"teachers": SEGMENTER, "losses": loss})
    (problem,) = problems_of(registry, tree)
    assert problem.startswith(f"data.train: {message}")


def test_a_trained_teacher_needs_labels(registry: Registry, pictures: Path) -> None:
    tree = make_tree(pictures)
    tree["data"]["train"]["dataset"].pop("labels")
    for key in ("generator", "degradation", "losses"):
        tree.pop(key)
    tree["teachers"] = {"net": TEACHER["net"] | {"trainable": True}}
    assert problems_of(registry, tree) == [
        "data.train: the trained teacher 'net' needs class labels, but the data have none"
    ]


def test_mixed_pictures_that_are_too_small(
    registry: Registry, pictures: Path, tmp_path: Path
) -> None:
    other = make_pictures(tmp_path / "small", count=2, side=12)
    tree = make_tree(pictures)
    mix = {"dataset": {"type": "image_folder", "root": str(other)}, "share": 0.5}
    tree["data"]["train"]["mix"] = mix
    assert problems_of(registry, tree) == [
        f"data.train.mix: 0{i}.png: 12x12 pixels are too few for a crop of 16; choose a smaller "
        "data.train.crop, or remove the image"
        for i in range(2)
    ]


def test_mixed_pictures_without_labels(registry: Registry, pictures: Path, tmp_path: Path) -> None:
    other = make_pictures(tmp_path / "other", count=2)
    tree = make_tree(pictures)
    mix = {"dataset": {"type": "image_folder", "root": str(other)}, "share": 0.5}
    tree["data"]["train"]["mix"] = mix
    assert problems_of(registry, tree) == [
        "data.train.mix: 00.png and 00.png do not fit in one batch: label known and none; "
        "provide it for all samples or for none"
    ]


def test_frames_with_different_data_ranges(registry: Registry, tmp_path: Path) -> None:
    for number, peak in enumerate((10.0, 500.0)):
        frame = np.linspace(0, peak, 32 * 32, dtype=np.float32).reshape(32, 32)
        fits.writeto(tmp_path / f"{number}.fits", frame)
    tree = make_tree(tmp_path)
    tree["data"]["train"]["dataset"] = {"type": "image_folder", "root": str(tmp_path)}
    (problem,) = problems_of(registry, tree)
    assert problem == (
        "data.train: 0.fits and 1.fits do not fit in one batch: data range 0 to 10 and 0 to 500; "
        "frames with different black and white levels need a data set with one range for "
        "all, such as lens_pairs"
    )
    tree["training"]["batch_size"] = 1
    assert problems_of(registry, tree) == []


class Grouped:
    """Flat images in groups; records the indices that are read."""

    channels, classes, notes = 3, None, ()
    groups, together, local = (2, 3), 1, False
    read: list[int]

    def __init__(self) -> None:
        Grouped.read = []

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        Grouped.read.append(index)
        return Sample(f"{index}", torch.full((3, 32, 32), 0.5))

    def expect(self, groups: Any) -> None:
        raise AssertionError("nothing is to be fetched ahead")


def test_groups_are_read_only_where_they_may_be_fetched(pictures: Path) -> None:
    registry = extended(datasets={"grouped": Grouped})
    tree = make_tree(pictures)
    tree["data"]["train"]["dataset"] = {"type": "grouped"}
    assert problems_of(registry, tree, fetch=False) == []
    assert Grouped.read == []
    assert problems_of(registry, tree) == []
    assert Grouped.read == [0, 1]


def test_components_that_need_another_run_are_not_tried(registry: Registry, pictures: Path) -> None:
    changes: dict[str, Any] = {"teachers": SEGMENTER, "losses": {"soft_iou": {}}}
    tree = make_tree(pictures, changes)
    tree["needs"] = {"first": "first.yaml"}
    tree["teachers"] = {"net": SEGMENTER["net"] | {"weights": "needs.first"}}
    assert problems_of(registry, tree) == []


def test_a_run_with_problems_leaves_nothing_behind(
    registry: Registry, pictures: Path, tmp_path: Path
) -> None:
    tree = make_tree(pictures, {"teachers": SEGMENTER, "losses": {"cross_entropy": {}}})
    with pytest.raises(RecipeError, match=r"data\.train: the loss 'cross_entropy' needs masks"):
        run(tree, tmp_path / "run", registry)
    assert not (tmp_path / "run").exists()


def test_trained_teachers_are_not_changed(registry: Registry, pictures: Path) -> None:
    """The rehearsal must not change running means of batch normalisation."""
    tree = make_tree(pictures, validated(pictures))
    tree["teachers"] = {"net": TEACHER["net"] | {"trainable": True}}
    tree["metrics"] = {"accuracy": {}}
    recipe = parse_recipe(tree, "test.yaml")
    assembly = assemble(recipe, registry, "test.yaml", splits=SPLITS)
    teacher: Any = assembly.teachers["net"]
    teacher.train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    rehearse(assembly, PartialState(cpu=True), "test.yaml")
    assert teacher.training
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_factors_that_are_not_the_scale_are_noted(registry: Registry, pictures: Path) -> None:
    def notes(*steps: dict[str, Any]) -> list[str]:
        recipe = parse_recipe({**make_tree(pictures), "degradation": list(steps)}, "test.yaml")
        return assemble(recipe, registry, "test.yaml", splits=()).notes()

    assert notes({"type": "bicubic"}) == []
    twice = notes({"type": "bicubic"}, {"type": "downscale"})
    assert twice == [
        "degradation: LR has 0.25 of HR's side; SR, 2 times as large, is resized to HR"
    ]


def test_every_picture_is_looked_at_before_the_first_step(
    registry: Registry, tmp_path: Path
) -> None:
    folder = make_pictures(tmp_path / "pictures", count=9)
    for number in range(2, 7):
        Pillow.new("RGB", (12, 40)).save(folder / f"0{number}.png")
    whole = (folder / "07.png").read_bytes()
    (folder / "07.png").write_bytes(whole[:-50])
    tree = make_tree(folder, validated(folder))
    with pytest.raises(RecipeError) as caught:
        run(tree, tmp_path / "run", registry)
    assert not (tmp_path / "run").exists()
    unreadable, *small, more, validation, test = caught.value.problems
    assert unreadable.startswith(f"data.train: {folder / '07.png'}: cannot be decoded")
    assert small == [
        f"data.train: 0{number}.png: 12x40 pixels are too few for a crop of 16; choose a smaller "
        "data.train.crop, or remove the image"
        for number in (2, 3, 4)
    ]
    assert more == "data.train: 2 more of 9 images have the same problem"
    assert validation.startswith(f"data.validation: {folder / '07.png'}: cannot be decoded")
    assert test.startswith(f"data.test: {folder / '07.png'}: cannot be decoded")


def test_whole_pictures_of_several_sizes(registry: Registry, tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", count=5)
    Pillow.new("RGB", (12, 40)).save(folder / "02.png")
    tree = make_tree(folder, {"data": {"train": {"crop": None}}})
    assert problems_of(registry, tree) == [
        "data.train: 00.png and 02.png do not fit in one batch: HR of 32x32 and 12x40 pixels; "
        "set data.train.crop, or the size of the data set"
    ]
    tree["training"]["batch_size"] = 1
    assert problems_of(registry, tree) == []
