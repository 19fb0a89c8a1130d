"""The perceptual loss, with random VGG19 weights in a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from srkit_teachers.perceptual import LAYERS, VGGPerceptual
from torch import Tensor, nn
from torchvision.models import WeightsEnum, vgg19

from srkit.errors import WeightsError
from srkit.interfaces import Batch, TeacherLoss

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def vgg_features() -> nn.Sequential:
    """VGG19's convolutions with values that keep signals alive through all 16."""
    with torch.device("meta"):
        features = vgg19(init_weights=False).features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in features.parameters():
            fan = parameter[0].numel() if parameter.ndim == 4 else 1e4
            parameter.normal_(0, (2 / fan) ** 0.5, generator=generator)
    return features


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    return vgg_features()


@pytest.fixture(scope="module")
def path(network: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save({f"features.{key}": value for key, value in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Batch]:
    generator = torch.Generator().manual_seed(4)
    sr, hr = (torch.rand(2, 3, 32, 48, generator=generator) for _ in range(2))
    return sr, Batch(["a", "b"], hr, [0, 1])


def test_layers_match_the_paper() -> None:
    per_block = [sum(name.startswith(f"conv{block}_") for name in LAYERS) for block in range(1, 6)]
    assert per_block == [2, 2, 4, 4, 4]
    # BasicSR and SRGAN codes count 34 modules before conv5_4.
    assert (LAYERS["conv1_1"], LAYERS["conv2_2"], LAYERS["conv5_4"]) == (0, 7, 34)


@pytest.mark.parametrize("before_activation", [True, False])
@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_equals_the_formula(
    network: nn.Sequential,
    path: Path,
    pair: tuple[Tensor, Batch],
    distance: Any,
    before_activation: bool,
) -> None:
    sr, batch = pair
    weights = {"conv2_2": 0.5, "conv5_4": 2.0}
    loss = VGGPerceptual(
        layers=weights, weights=path, distance=distance, before_activation=before_activation
    )
    expected = 0.0
    for layer, weight in weights.items():
        part = network[: LAYERS[layer] + (1 if before_activation else 2)]
        with torch.no_grad():
            first, second = (part((x - MEAN) / STD) for x in (sr, batch.hr))
        difference = (first - second).abs()
        expected += weight * float((difference if distance == "l1" else difference**2).mean())
    found = loss(sr, batch)
    assert expected > 1e-3
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_is_frozen_and_differentiable(path: Path, pair: tuple[Tensor, Batch]) -> None:
    sr, batch = pair
    loss = VGGPerceptual(layers={"conv1_2": 1.0}, weights=path)
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    assert not isinstance(loss, TeacherLoss)
    given = sr.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(given, batch)
    assert value.dtype == torch.float32
    value.backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0
    assert float(loss(batch.hr, batch)) == 0


def test_bad_layers(path: Path) -> None:
    with pytest.raises(ValueError, match=r"VGG19 has no layer 'conv5_5'; did you mean 'conv5_"):
        VGGPerceptual(layers={"conv5_5": 1.0}, weights=path)
    with pytest.raises(ValueError, match="layers: empty"):
        VGGPerceptual(layers={}, weights=path)


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"other.pth: made for another network.*0.bias is miss"):
        VGGPerceptual(layers={"conv1_1": 1.0}, weights=path)
    with pytest.raises(WeightsError, match=r"absent.pth: no such weight file"):
        VGGPerceptual(weights=tmp_path / "absent.pth")


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    expected = r"weights of vgg19 could not be downloaded \(no network\); download https://.*vgg19"
    with pytest.raises(WeightsError, match=expected):
        VGGPerceptual()
