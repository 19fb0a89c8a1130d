"""Segmentation networks as teachers, with random weights: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from srkit_teachers.segmenters.torchvision_segmentation import TorchvisionSegmentation
from srkit_teachers.segmenters.unet import UNet
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import WeightsEnum
from torchvision.models.segmentation import fcn_resnet50, lraspp_mobilenet_v3_large

from srkit.data.truth import task_of
from srkit.errors import WeightsError
from srkit.interfaces import Teacher

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
SMALL = "lraspp_mobilenet_v3_large"


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 72, 64, generator=torch.Generator().manual_seed(1))


def test_teacher_equals_the_plain_network(images: Tensor, tmp_path: Path) -> None:
    network = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=4).eval()
    save_file(network.state_dict(), tmp_path / "plain.safetensors")
    teacher = TorchvisionSegmentation(
        model=SMALL, weights=tmp_path / "plain.safetensors", classes=4
    ).eval()
    assert isinstance(teacher, Teacher)
    assert task_of(teacher) == "segmentation"
    inputs = (images - MEAN) / STD
    with torch.no_grad():
        answer = teacher(images, ("backbone.4",))
        assert torch.allclose(answer.logits, network(inputs)["out"], atol=1e-5)
        expected = torch.nn.Sequential(*list(network.backbone.children())[:5])(inputs)
        assert torch.allclose(answer.features["backbone.4"], expected, atol=1e-5)
    assert answer.logits.shape == (2, 4, 72, 64)


def test_files_with_the_auxiliary_training_head(tmp_path: Path) -> None:
    network = fcn_resnet50(weights_backbone=None, num_classes=2, aux_loss=True)
    path = tmp_path / "fcn.safetensors"
    save_file(network.state_dict(), path)
    teacher = TorchvisionSegmentation(model="fcn_resnet50", weights=path, classes=2)
    assert list(teacher.stages) == [f"backbone.layer{k}" for k in range(1, 5)]
    found = dict(teacher.network.named_parameters())
    for key, value in network.named_parameters():
        assert torch.equal(found[key], value)


def test_scores_of_resized_images_have_the_original_size(images: Tensor) -> None:
    teacher = TorchvisionSegmentation(
        model=SMALL, weights="random", classes=3, input_size=96
    ).eval()
    with torch.no_grad():
        logits = teacher(images).logits
        inputs = teacher._prepare(images)
        assert inputs.shape[-2:] == (96, 96)
        plain = teacher.network(inputs)["out"]
    expected = F.interpolate(plain, size=(72, 64), mode="bilinear", align_corners=False)
    assert torch.allclose(logits, expected, atol=1e-5)


def test_published_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: WeightsEnum, *args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fails)
    expected = (
        r"^torchvision's weights of lraspp_mobilenet_v3_large's COCO_WITH_VOC_LABELS_V1 could not "
        r"be downloaded \(no network\); download https://download\.pytorch\.org/models/"
        r"lraspp_mobilenet_v3_large-\w+\.pth on another machine and give the file as 'weights'$"
    )
    with pytest.raises(WeightsError, match=expected):
        TorchvisionSegmentation(model=SMALL)
    with pytest.raises(ValueError, match=r"^the published weights have 21 classes, not 4; remove"):
        TorchvisionSegmentation(model=SMALL, classes=4)


def test_unknown_models_and_weights() -> None:
    expected = (
        "^torchvision has no segmentation network 'deeplabv3_resnet5'; did you mean "
        "deeplabv3_resnet50 or "
    )
    with pytest.raises(ValueError, match=expected):
        TorchvisionSegmentation(model="deeplabv3_resnet5")
    with pytest.raises(ValueError, match=r"^torchvision has no segmentation network 'resnet18'"):
        TorchvisionSegmentation(model="resnet18")
    with pytest.raises(ValueError, match=f"^torchvision has no weights 'COCO' of {SMALL}, and"):
        TorchvisionSegmentation(model=SMALL, weights="COCO")


def test_the_addresses_of_the_downloads() -> None:
    (url,) = TorchvisionSegmentation.downloads(model=SMALL, weights="DEFAULT")
    assert url.startswith("https://download.pytorch.org/models/lraspp_mobilenet_v3_large")
    assert TorchvisionSegmentation.downloads(model=SMALL, weights="random") == []


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (5, 9)])
def test_a_unet_accepts_any_size_and_range(size: tuple[int, int]) -> None:
    teacher = UNet(weights="random", classes=3, features=4, channels=1).eval()
    frames = torch.randn(2, 1, *size)
    with torch.no_grad():
        answer = teacher(frames, ("down.0", "down.3"))
        assert answer.logits.shape == (2, 3, *size)
        assert answer.features["down.0"].shape == (2, 4, *size)
        assert answer.features["down.3"].shape == (2, 32, -(-size[0] // 8), -(-size[1] // 8))
        assert torch.allclose(teacher(100 * frames + 7).logits, answer.logits, atol=1e-3)


def test_a_unet_is_restored_from_its_file(tmp_path: Path) -> None:
    teacher = UNet(weights="random", classes=3, features=4, depth=2, channels=1)
    path = tmp_path / "unet.safetensors"
    save_file(teacher.state_dict(), path)
    again = UNet(weights=path, classes=3, features=4, depth=2, channels=1).eval()
    frames = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(again(frames).logits, teacher.eval()(frames).logits)
    with pytest.raises(WeightsError, match=r"made for another network or another number of class"):
        UNet(weights=path, classes=2, features=4, depth=2, channels=1)
    gone = tmp_path / "gone.safetensors"
    with pytest.raises(WeightsError, match=f"^{gone}: no such weight file or run folder"):
        UNet(weights=gone)
