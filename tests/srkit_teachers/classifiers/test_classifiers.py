"""Teachers from timm and torchvision, with random weights: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from srkit_teachers.classifiers.classifier import Classifier
from srkit_teachers.classifiers.timm_models import Timm
from srkit_teachers.classifiers.torchvision_models import Torchvision
from torch import Tensor
from torchvision.models import WeightsEnum, resnet18

from srkit.components.options import validate
from srkit.errors import WeightsError
from srkit.functional.resizing import resize
from srkit.interfaces import Teacher

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@pytest.fixture(scope="module")
def resnet() -> Classifier:
    return Torchvision(model="resnet18", weights="random").eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 72, 64, generator=torch.Generator().manual_seed(1))


def plain_features(network: torch.nn.Module, inputs: Tensor, names: list[str]) -> dict[str, Tensor]:
    """Record copies of the outputs of modules, which later layers cannot overwrite."""
    found: dict[str, Tensor] = {}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: found.update({name: output.clone()})
        )
    with torch.no_grad():
        network(inputs)
    return found


def test_torchvision_equals_the_plain_network(resnet: Classifier, images: Tensor) -> None:
    network = resnet18(num_classes=1000).eval()
    network.load_state_dict(resnet.network.state_dict())
    inputs = (images - IMAGENET_MEAN) / IMAGENET_STD
    expected = plain_features(network, inputs, ["layer1", "layer4"])
    with torch.no_grad():
        answer = resnet(images, ("layer4", "layer1"))
        assert torch.allclose(answer.logits, network(inputs), atol=1e-5)
    assert answer.features.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(answer.features[name], value, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "stage"),
    [
        ("squeezenet1_1", "features.3"),
        ("mobilenet_v3_small", "features.1"),
        ("shufflenet_v2_x0_5", "stage2"),
        ("regnet_y_400mf", "trunk_output.block2"),
        ("mnasnet0_5", "layers.1"),
        ("densenet121", "features.denseblock2"),
    ],
)
def test_torchvision_stages_are_not_overwritten(model: str, stage: str, images: Tensor) -> None:
    teacher = Torchvision(model=model, weights="random").eval()
    with torch.no_grad():
        answer = teacher(images, (stage,))
    inputs = (images - IMAGENET_MEAN) / IMAGENET_STD
    expected = plain_features(teacher.network, inputs, [stage])[stage]
    assert torch.equal(answer.features[stage], expected)


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "resnet10t"])
def test_timm_equals_the_plain_network(model: str, images: Tensor) -> None:
    teacher = Timm(model=model, weights="random").eval()
    network = timm.create_model(model).eval()
    network.load_state_dict(teacher.network.state_dict())
    mean, std = (torch.tensor(network.pretrained_cfg[k])[:, None, None] for k in ("mean", "std"))
    inputs = (images - mean) / std
    names = [info["module"] for info in network.feature_info]
    expected = plain_features(network, inputs, names)
    with torch.no_grad():
        answer = teacher(images, list(reversed(names)))
        assert torch.allclose(answer.logits, network(inputs), atol=1e-5)
        assert torch.equal(teacher(images).logits, answer.logits)
    assert list(teacher.stages) == names
    for name, value in expected.items():
        assert torch.allclose(answer.features[name], value, atol=1e-5)


def test_transformers_give_maps_with_channels_first() -> None:
    teacher = Timm(model="test_vit", weights="random", input_size=160).eval()
    with torch.no_grad():
        answer = teacher(torch.rand(1, 3, 64, 64), ("blocks.0",))
    assert answer.features["blocks.0"].shape == (1, 64, 10, 10)
    assert answer.logits.shape == (1, 1000)


def test_features_need_no_second_pass(resnet: Classifier, images: Tensor) -> None:
    passes: list[int] = []
    handle = resnet.network.get_submodule("conv1").register_forward_hook(
        lambda module, inputs, output: passes.append(1)
    )
    with torch.no_grad():
        resnet(images, ("layer1", "layer2"))
    handle.remove()
    assert len(passes) == 1


@pytest.mark.parametrize("factory", [Torchvision, Timm])
def test_satisfies_the_protocol(factory: Any) -> None:
    teacher = factory(model="resnet18", weights="random", classes=7)
    assert isinstance(teacher, Teacher)
    assert teacher.classes == 7
    assert teacher(torch.rand(2, 3, 64, 64)).logits.shape == (2, 7)


def test_dropout_respects_eval(images: Tensor) -> None:
    teacher = Torchvision(model="mobilenet_v3_small", weights="random")
    with torch.no_grad():
        teacher.train()
        assert not torch.equal(teacher(images).logits, teacher(images).logits)
        teacher.eval()
        assert torch.equal(teacher(images).logits, teacher(images).logits)


def test_gradients_reach_the_images_and_the_parameters(images: Tensor) -> None:
    teacher = Timm(model="test_resnet", weights="random").train()
    wanted = images.clone().requires_grad_()
    answer = teacher(wanted, ("layer2",))
    (answer.logits.square().mean() + answer.features["layer2"].square().mean()).backward()
    assert wanted.grad is not None
    assert wanted.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in teacher.parameters())


def test_scores_are_float32_under_autocast(resnet: Classifier, images: Tensor) -> None:
    inputs = images.to(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = resnet(inputs).logits
        half = resnet(inputs.bfloat16()).logits
    assert low.dtype == half.dtype == torch.float32
    with torch.no_grad():
        assert torch.allclose(low, resnet(images).logits, atol=0.05)


def test_grey_images_count_as_rgb(resnet: Classifier, images: Tensor) -> None:
    grey = images[:, :1]
    with torch.no_grad():
        assert torch.equal(resnet(grey).logits, resnet(grey.repeat(1, 3, 1, 1)).logits)


def test_input_size_resizes(resnet: Classifier, images: Tensor) -> None:
    sized = Torchvision(model="resnet18", weights="random", input_size=48).eval()
    sized.load_state_dict(resnet.state_dict())
    with torch.no_grad():
        assert torch.equal(sized(images).logits, resnet(resize(images, size=(48, 48))).logits)


def test_auxiliary_classifiers_are_ignored() -> None:
    teacher = Torchvision(model="googlenet", weights="random", classes=5).train()
    assert teacher(torch.rand(2, 3, 64, 64), ("inception3a",)).logits.shape == (2, 5)


def test_normalisation_is_not_part_of_the_weights(resnet: Classifier) -> None:
    assert all(key.startswith("network.") for key in resnet.state_dict())


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("factory", [Torchvision, Timm])
def test_local_file(factory: Any, suffix: str, tmp_path: Path, images: Tensor) -> None:
    first = factory(model="resnet18", weights="random", classes=3).eval()
    path = tmp_path / f"teacher.{suffix}"
    if suffix == "pth":
        torch.save(first.network.state_dict(), path)
    else:
        save_file(first.state_dict(), path)  # as srkit saves a teacher that it has trained
    second = factory(model="resnet18", weights=path, classes=3).eval()
    with torch.no_grad():
        assert torch.equal(first(images).logits, second(images).logits)


@pytest.mark.parametrize("factory", [Torchvision, Timm])
def test_file_of_another_network(factory: Any, tmp_path: Path) -> None:
    path = tmp_path / "teacher.pth"
    torch.save(resnet18(num_classes=3).state_dict(), path)
    expected = (
        r"teacher.pth: made for another network or another number of classes: "
        r"fc.weight is \(3, 512\), expected \(1000, 512\); fc.bias is \(3,\), expected \(1000,\)"
    )
    with pytest.raises(WeightsError, match=expected):
        factory(model="resnet18", weights=path)
    with pytest.raises(WeightsError, match=r"layer1.0.conv3.weight is missing; .*; and \d+ more"):
        factory(model="resnet50", weights=path)


@pytest.mark.parametrize("factory", [Torchvision, Timm])
def test_missing_file(factory: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere.pth: no such weight file"):
        factory(model="resnet18", weights=tmp_path / "nowhere.pth")


def test_unknown_model() -> None:
    with pytest.raises(
        ValueError, match=r"torchvision has no classifier 'resnet5'; did you mean resnet50"
    ):
        Torchvision(model="resnet5")
    with pytest.raises(ValueError, match=r"timm has no classifier 'resnet50x'; did you mean "):
        Timm(model="resnet50x")
    with pytest.raises(
        ValueError, match=r"timm has no classifier 'qqqqq'; see timm's list_models\(\)"
    ):
        Timm(model="qqqqq")
    with pytest.raises(ValueError, match=r"torchvision has no classifier 'fcn_resnet50'"):
        Torchvision(model="fcn_resnet50")  # a segmentation network


def test_unknown_name_of_weights() -> None:
    expected = (
        r"torchvision has no weights 'IMAGENET1K_V7' of resnet18, and no such file or "
        r"run exists; did you mean 'IMAGENET1K_V1'\?"
    )
    with pytest.raises(ValueError, match=expected):
        Torchvision(model="resnet18", weights="IMAGENET1K_V7")


def test_published_weights_fix_the_classes() -> None:
    expected = r"the published weights have 1000 classes, not 7; remove 'classes'"
    with pytest.raises(ValueError, match=expected):
        Torchvision(model="resnet18", classes=7)
    with pytest.raises(ValueError, match=expected):
        Timm(model="resnet18", classes=7)


def test_unpublished_weights() -> None:
    with pytest.raises(WeightsError, match=r"timm publishes no weights of 'efficientnet_b8'"):
        Timm(model="efficientnet_b8")


def test_features_without_classes() -> None:
    with pytest.raises(ValueError, match=r"has no classes; it only computes features"):
        Timm(model="vit_small_patch14_dinov2", weights="random", input_size=518)


@pytest.mark.parametrize(
    ("factory", "model"), [(Timm, "vit_tiny_patch16_224"), (Torchvision, "vit_b_16")]
)
def test_fixed_input_size(factory: Any, model: str) -> None:
    with pytest.raises(ValueError, match=r"accepts only 224 x 224 images; set input_size: 224"):
        factory(model=model, weights="random")


def test_unknown_stage(resnet: Classifier, images: Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"no stage 'layer5'; known: layer1, layer2, layer3, layer4$"
    ):
        resnet(images, ("layer5",))


def test_images_that_are_neither_rgb_nor_grey(resnet: Classifier) -> None:
    with pytest.raises(ValueError, match=r"RGB or grey images.*got the shape \(1, 4, 8, 8\)"):
        resnet(torch.rand(1, 4, 8, 8))


def test_offline_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    expected = (
        r"torchvision's weights of resnet18's IMAGENET1K_V1 could not be downloaded "
        r"\(no network\); download https://.*/resnet18-\w+\.pth on another machine and give the "
        r"file as 'weights'"
    )
    with pytest.raises(WeightsError, match=expected):
        Torchvision(model="resnet18")


def test_offline_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    expected = (
        r"the weights of timm's 'resnet18' could not be downloaded \(OSError\); download "
        r"model.safetensors of hub repository timm/resnet18.a1_in1k on another machine and give "
        r"the file as 'weights'"
    )
    with pytest.raises(WeightsError, match=expected):
        Timm(model="resnet18")


def test_options_in_a_recipe(tmp_path: Path) -> None:
    assert validate(Timm, {"model": "resnet18", "weights": "random"})["weights"] == "random"
    given = validate(Timm, {"model": "resnet18", "weights": str(tmp_path)})["weights"]
    assert given == tmp_path
    assert validate(Torchvision, {"model": "resnet18"})["weights"] == "DEFAULT"


def test_class_names_are_those_of_the_published_weights() -> None:
    egyptian_cat = 285
    timm_model = Timm(model="resnet18", weights="random")
    assert timm_model.class_names is not None
    assert timm_model.class_names[egyptian_cat] == "Egyptian cat"
    assert Timm(model="resnet18", weights="random", classes=3).class_names is None
    torchvision_model = Torchvision(model="resnet18", weights="random")
    assert torchvision_model.class_names is not None
    assert torchvision_model.class_names[egyptian_cat] == "Egyptian cat"
    assert Torchvision(model="resnet18", weights="random", classes=3).class_names is None
