"""Answers on HR are kept: as they were, for the same picture and teacher alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_setup import (
    TEACHER,
    Tree,
    assert_same_end,
    differences,
    last,
    make_pictures,
    make_tree,
    run,
    steps,
)

from srkit.assembly.kept_answers import KeptAnswers, identify
from srkit.components.registry import Registry
from srkit.errors import OutputError
from srkit.interfaces import Answer, Batch
from srkit.recipe.trees import merge
from srkit.system.digests import digest_of_image


class Asked:
    """A teacher that counts its calls."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, images: Tensor) -> Answer:
        self.times += 1
        return Answer(images.mean((2, 3)) + self.times)


def batch_of(images: Tensor, *positions: int) -> Batch:
    chosen = images[list(positions)]
    pictures = [(p, digest_of_image(image)) for p, image in zip(positions, chosen, strict=True)]
    return Batch([str(p) for p in positions], chosen, list(positions), pictures=pictures)


def test_each_picture_is_computed_once(tmp_path: Path) -> None:
    images, teacher = torch.rand(5, 3, 4, 4), Asked()

    def recall(kept: KeptAnswers, *positions: int) -> Tensor:
        batch = batch_of(images, *positions)
        return kept.recall(batch, lambda: teacher(batch.hr)).logits

    kept = KeptAnswers(tmp_path, "key", 5, 3)
    first = recall(kept, 3, 0)
    assert torch.equal(recall(kept, 0, 3), first.flip(0))
    assert teacher.times == 1
    recall(kept, 0, 1)
    assert teacher.times == 2
    again = KeptAnswers(tmp_path, "key", 5, 3)
    assert torch.equal(recall(again, 3), first[:1])
    images[3, 0, 0, 0] += 1e-3  # another picture
    recall(again, 3)
    assert teacher.times == 3
    other = KeptAnswers(tmp_path, "another", 5, 3)
    recall(other, 3)
    assert teacher.times == 4


def test_an_incomplete_entry_is_ignored(tmp_path: Path) -> None:
    images, teacher = torch.rand(2, 3, 4, 4), Asked()
    batch = batch_of(images, 0, 1)
    kept = KeptAnswers(tmp_path, "key", 2, 3)
    kept.recall(batch, lambda: teacher(batch.hr))
    entries = np.load(kept.path, mmap_mode="r+")
    entries["scores"][1, 2] += 1
    kept.recall(batch, lambda: teacher(batch.hr))
    assert teacher.times == 2


def test_everything_that_an_answer_depends_on_changes_the_digest() -> None:
    def teacher() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    options: dict[str, Any] = {"type": "timm", "input_size": 32}
    plain = identify(teacher(), options, "fp32 cpu")
    assert plain == identify(teacher(), dict(options), "fp32 cpu")
    changed, buffered = teacher(), teacher()
    next(changed.parameters()).data[0, 0] += 1e-7
    buffered[1].running_mean[0] = 1
    others = {
        identify(changed, options, "fp32 cpu"),
        identify(buffered, options, "fp32 cpu"),
        identify(teacher(), {**options, "input_size": 33}, "fp32 cpu"),
        identify(teacher(), options, "bf16 cpu"),
    }
    assert len(others | {plain}) == 5


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot store the teacher's .*set `answers: compute`"):
        KeptAnswers(tmp_path / "file", "key", 2, 3)
    with pytest.raises(OutputError, match=r"the teacher's answers \(4.02e\+09 GB are needed, "):
        KeptAnswers(tmp_path, "key", 10**18 // 1000, 999)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    pictures = make_pictures(tmp_path_factory.mktemp("kept") / "pictures", count=8, side=16)
    tree = make_tree(pictures, {"teachers": TEACHER, "losses": {"logit_mse": {}}}, steps(5))
    del tree["data"]["train"]["crop"], tree["data"]["train"]["augment"]
    return tree


def test_a_run_ends_as_without_kept_answers(tree: Tree, tmp_path: Path, registry: Registry) -> None:
    run(tree, tmp_path / "kept", registry)
    computed = {**tree, "teachers": {"net": {**TEACHER["net"], "answers": "compute"}}}
    run(computed, tmp_path / "computed", registry)
    (kept,) = (tmp_path / "kept/answers").glob("*.npy")
    entries = np.load(kept)
    assert len(entries) == 8 and (entries["check"] != 0).all()
    assert not (tmp_path / "computed/answers").exists()
    found = differences(
        last(tmp_path / "kept").groups["generator"], last(tmp_path / "computed").groups["generator"]
    )
    assert max(found.values()) < 1e-6  # a picture was judged in another batch


def test_a_resumed_run_ends_the_same(tree: Tree, tmp_path: Path, registry: Registry) -> None:
    run(tree, tmp_path / "whole", registry)
    part = {**tree, "training": {**tree["training"], "duration": 3}}
    run(part, tmp_path / "part", registry)
    run(tree, tmp_path / "part", registry, resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "part")


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"train": {"augment": ["flip"]}}},
        {"data": {"train": {"crop": 8}}},
        {"teachers": {"net": {"trainable": True}}},
    ],
    ids=["augmented", "cut", "trained"],
)
def test_changing_answers_are_not_kept(
    change: Tree, tree: Tree, tmp_path: Path, registry: Registry
) -> None:
    run(merge(merge(tree, steps(3)), change), tmp_path / "run", registry)
    assert not (tmp_path / "run/answers").exists()
