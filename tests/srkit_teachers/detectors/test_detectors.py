"""Detectors with random weights as teachers, compared with torchvision's forward pass."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torchmetrics.detection.mean_ap as counting
from detectors_setup import CLASSES, SMALL, make_plain
from safetensors.torch import save_file
from srkit_teachers.detection import DetectionMSE, MeanAveragePrecision
from srkit_teachers.detectors.detector import TorchvisionDetection
from torch import Tensor
from torchvision.models import WeightsEnum
from torchvision.ops import box_iou

from srkit.data.truth import task_of
from srkit.errors import DataError, PluginError, WeightsError
from srkit.interfaces import Answer, Batch, Boxes, Teacher


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 110, 80, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        ("retinanet_resnet50_fpn", ["0", "1", "2", "p6", "p7"]),
        ("fcos_resnet50_fpn", ["0", "1", "2", "p6", "p7"]),
        (SMALL, ["0", "1", "pool"]),
    ],
)
def test_teacher_equals_the_plain_network(
    model: str, levels: list[str], images: Tensor, tmp_path: Path
) -> None:
    plain = make_plain(model, images)
    save_file(plain.state_dict(), tmp_path / "plain.safetensors")
    teacher = TorchvisionDetection(
        model=model, weights=tmp_path / "plain.safetensors", classes=CLASSES
    ).eval()
    assert isinstance(teacher, Teacher)
    assert task_of(teacher) == "detection"
    assert [stage for stage in teacher.stages if stage.startswith("fpn.")] == [
        f"fpn.{level}" for level in levels
    ]
    plain.score_thresh = teacher.network.score_thresh = 0.0  # scores of untrained heads are low
    with torch.no_grad():
        answer = teacher(images, teacher.stages)
        expected = plain(list(images))
    assert answer.find is not None
    for found, wanted in zip(answer.find(), expected, strict=True):
        assert len(wanted["boxes"]) > 0
        assert torch.equal(found.labels, wanted["labels"])
        assert found.scores is not None
        assert torch.allclose(found.scores, wanted["scores"], atol=1e-5)
        assert torch.allclose(found.corners, wanted["boxes"], atol=1e-2)
    one, other = answer.logits  # otherwise only biases would be compared
    assert (one - other).abs().max() > 0.01
    anchors = answer.logits.shape[1]
    assert answer.features["head.boxes"].shape == (2, anchors, 4)
    assert torch.equal(answer.features["head.scores"], answer.logits)


def test_boxes_of_resized_images_are_in_original_pixels(images: Tensor) -> None:
    torch.manual_seed(3)
    teacher = TorchvisionDetection(model=SMALL, weights="random", classes=CLASSES).eval()
    teacher.shorter_side = 160
    with torch.no_grad():
        answer = teacher(images)
    assert answer.find is not None
    corners = torch.cat([boxes.corners for boxes in answer.find()])
    assert 40 < float(corners[:, 2].max()) <= 80
    assert 80 < float(corners[:, 3].max()) <= 110


def test_gradients_reach_the_image_from_pyramid_and_head(images: Tensor) -> None:
    teacher = TorchvisionDetection(model=SMALL, weights="random", classes=CLASSES).eval()
    sr = images.clone().requires_grad_()
    with torch.no_grad():
        target = teacher(images + 0.1, teacher.stages)
    batch = Batch(["a", "b"], images, [0, 1])
    for loss in (DetectionMSE(head=0), DetectionMSE(pyramid=0)):
        (slope,) = torch.autograd.grad(loss(teacher(sr, teacher.stages), target, batch), sr)
        assert slope.abs().sum() > 0


def test_unknown_models_and_missing_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^torchvision has no detector with a feature pyramid"):
        TorchvisionDetection(model="ssd300_vgg16")

    def fails(self: WeightsEnum, *args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fails)
    with pytest.raises(WeightsError, match=r"^torchvision's weights of fasterrcnn_mobilenet_v3_la"):
        TorchvisionDetection(model=SMALL)
    with pytest.raises(WeightsError, match=r"no such weight file or run folder"):
        TorchvisionDetection(model=SMALL, weights=tmp_path / "gone.pth")
    (url,) = TorchvisionDetection.downloads(model=SMALL, weights="DEFAULT")
    assert url.startswith("https://download.pytorch.org/models/fasterrcnn_mobilenet")


def test_the_loss_by_hand() -> None:
    generator = torch.Generator().manual_seed(5)
    shapes = {"fpn.0": (2, 3, 4, 4), "fpn.1": (2, 3, 2, 2), "head.scores": (2, 6, 3)}
    given, wanted = (
        {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        for _ in range(2)
    )
    part = {
        name: float(((given[name] - wanted[name]) ** 2).sum()) / given[name].numel()
        for name in shapes
    }
    batch = Batch(["a", "b"], torch.zeros(2, 3, 4, 4), [0, 1])
    logits = torch.zeros(2, 6, 3)
    found = DetectionMSE(pyramid=2.0, head=0.5)(
        Answer(logits, given), Answer(logits, wanted), batch
    )
    expected = 2.0 * (part["fpn.0"] + part["fpn.1"]) / 2 + 0.5 * part["head.scores"]
    assert float(found) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"^pyramid and head are both 0; set at least one"):
        DetectionMSE(pyramid=0, head=0)


TRUE = Boxes(torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]]), torch.tensor([1, 2]))


def answer(*found: Boxes) -> Answer:
    return Answer(torch.zeros(len(found), 1, 3), find=lambda: list(found))


def precision(*found: Boxes) -> tuple[list[float], float]:
    batch = Batch(["a"] * len(found), torch.zeros(1, 3, 50, 50), [0], boxes=[TRUE] * len(found))
    metric = MeanAveragePrecision()
    return metric.pool(metric(answer(*found), answer(*found), batch))


def test_precision_of_perfect_and_of_shifted_boxes() -> None:
    scores = torch.tensor([0.9, 0.8])
    perfect = Boxes(TRUE.corners, TRUE.labels, scores)
    assert precision(perfect, perfect)[1] == pytest.approx(1)
    moved = TRUE.corners + torch.tensor([[0.0, 0, 0, 0], [2, 0, 2, 0]])
    overlap = float(box_iou(TRUE.corners[1:], moved[1:]))
    # Correct at the thresholds 0.50, 0.55 ... below the overlap; the other class is perfect.
    reached = sum(overlap >= 0.5 + 0.05 * k for k in range(10)) / 10
    values, whole = precision(Boxes(moved, TRUE.labels, scores))
    assert whole == pytest.approx((1 + reached) / 2, abs=1e-6)
    assert values == [pytest.approx(whole)]
    assert precision(Boxes(TRUE.corners, TRUE.labels.flip(0), scores))[1] == 0


def test_no_boxes() -> None:
    nothing = Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    assert precision(nothing)[1] == 0
    batch = Batch(["a"], torch.zeros(1, 3, 50, 50), [0])
    metric = MeanAveragePrecision()
    with pytest.raises(DataError, match=r"^the metric 'map' needs boxes, but the data have none"):
        metric(answer(nothing), answer(nothing), batch)
    empty = Batch(["a"], torch.zeros(1, 3, 50, 50), [0], boxes=[nothing])
    values, whole = metric.pool(metric(answer(nothing), answer(nothing), empty))
    assert values[0] != values[0]
    assert whole != whole


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_FASTER_COCO_EVAL_AVAILABLE", False)
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    expected = r"^the package faster-coco-eval is not installed; install srkit\[detection\]: pip "
    with pytest.raises(PluginError, match=expected):
        MeanAveragePrecision()
