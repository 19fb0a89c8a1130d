"""Classifiers trained by srkit, for images other than photographs, as teachers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from srkit_teachers.classifiers.classifier import Classifier, standardise
from srkit_teachers.classifiers.timm_models import Timm
from srkit_teachers.classifiers.torchvision_models import Torchvision
from torch import Tensor, nn
from training_setup import make_pictures, make_tree, run

from srkit.assembly.build import assemble
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.interfaces import Teacher
from srkit.recipe.recipe import parse_recipe
from srkit.weights.checkpoints import save
from srkit.weights.files import read_tensors

MODEL = {"model": "test_efficientnet", "normalise": "image"}


def pupil(**options: Any) -> Timm:
    """Return an untrained classifier of one channel and three classes."""
    return Timm(**{**MODEL, "weights": "random", "classes": 3, "channels": 1, **options})


def frames(*shape: int) -> Tensor:
    """Return images of a sky with noise, some of it negative."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)) * 0.03 + 0.01


def same_answers(first: nn.Module, second: nn.Module, images: Tensor) -> bool:
    with torch.no_grad():
        return torch.equal(first.eval()(images).logits, second.eval()(images).logits)


def write_run(folder: Path, checkpoint: str = "best", **teachers: Classifier) -> Path:
    """Write the checkpoint of a run that trained teachers."""
    groups: dict[str, Any] = {f"teachers.{k}": v.state_dict() for k, v in teachers.items()}
    options = {
        name: {"type": "timm", "classes": teacher.classes, "normalise": teacher.normalise}
        for name, teacher in teachers.items()
    }
    state = {"recipe": {"name": "run", "teachers": options}, "versions": {"srkit": "0"}}
    if not groups:
        groups = {"generator": {"a": torch.zeros(1)}}
    save(folder / "checkpoints" / f"{checkpoint}.safetensors", groups, state)
    return folder


def test_a_new_network_has_the_channels_of_the_recipe() -> None:
    for channels in (1, 2, 5):
        teacher = pupil(channels=channels).eval()
        assert isinstance(teacher, Teacher)
        assert teacher.network.get_submodule("conv_stem").in_channels == channels
        assert teacher(frames(2, channels, 48, 48)).logits.shape == (2, 3)


def test_the_core_supplies_the_channels() -> None:
    options = {**MODEL, "weights": "random", "classes": 3}
    assert build(Timm, options, scale=2, channels=1, formats=None).channels == 1


@pytest.mark.parametrize(("channels", "expected"), [
    (1, r"grey images, \(N, 1, H, W\)"),
    (5, "images of 5 channels"),
])  # fmt: skip
def test_images_of_other_channels(channels: int, expected: str) -> None:
    message = rf"^this teacher expects {expected}; got the shape \(2, 3, 48, 48\)$"
    with pytest.raises(ValueError, match=message):
        pupil(channels=channels)(frames(2, 3, 48, 48))


def test_standardised_images_have_mean_0_and_deviation_1() -> None:
    images = frames(3, 2, 20, 24)
    values = images.numpy().astype(np.float64)
    mean, deviation = values.mean((1, 2, 3)), values.std((1, 2, 3))
    expected = (values - mean[:, None, None, None]) / deviation[:, None, None, None]
    np.testing.assert_allclose(standardise(images).numpy(), expected, atol=2e-6)


def test_scores_do_not_depend_on_unit_and_background() -> None:
    teacher, images = pupil().eval(), frames(2, 1, 48, 48)
    with torch.no_grad():
        logits = teacher(images).logits
        assert torch.allclose(teacher(images * 5e4).logits, logits, atol=1e-5)
        assert torch.allclose(teacher(images * 1e-6 + 2e-6).logits, logits, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.5, -3.0])
def test_a_flat_image_has_a_finite_gradient(level: float) -> None:
    flat = torch.full((1, 1, 32, 32), level, requires_grad=True)
    found = standardise(flat)
    (found * torch.rand(32, 32)).sum().backward()
    assert found.abs().max() == 0
    assert flat.grad is not None
    assert flat.grad.abs().max() <= 1


def test_rgb_networks_standardise_grey_images_too() -> None:
    grey = frames(2, 1, 48, 48)
    teacher = Torchvision(model="resnet18", weights="random", normalise="image").eval()
    with torch.no_grad():
        repeated = teacher(grey.repeat(1, 3, 1, 1)).logits
        assert torch.allclose(teacher(grey).logits, repeated, atol=1e-5)
        logits, _ = teacher.judge(standardise(grey).repeat(1, 3, 1, 1), ())
        assert torch.equal(teacher(grey).logits, logits)


def test_one_channel_has_no_published_normalisation() -> None:
    expected = (
        "^a network of 1 channel has no published normalisation, which is for RGB; set "
        "normalise: image$"
    )
    with pytest.raises(ValueError, match=expected):
        pupil(normalise="published")


def test_published_weights_reject_other_channels() -> None:
    expected = (
        "^published weights accept RGB or grey images, not 4 channels; give a file or a run as "
        "'weights'$"
    )
    with pytest.raises(ValueError, match=expected):
        Timm(model="resnet18", channels=4)


def test_grey_images_keep_the_weights_of_rgb(tmp_path: Path) -> None:
    rgb = Timm(model="test_resnet", weights="random", classes=4)
    path = tmp_path / "rgb.safetensors"
    save_file(rgb.state_dict(), path)
    teacher = Timm(model="test_resnet", weights=path, classes=4, channels=1)
    assert same_answers(rgb, teacher, torch.rand(2, 1, 48, 48))


def test_the_best_checkpoint_of_a_run(tmp_path: Path) -> None:
    last, best, images = pupil(), pupil(), frames(2, 1, 48, 48)
    write_run(tmp_path, "last", net=last)
    assert same_answers(Timm(**MODEL, weights=tmp_path, channels=1), last, images)
    write_run(tmp_path, "best", net=best)
    assert same_answers(Timm(**MODEL, weights=tmp_path, channels=1), best, images)
    path = tmp_path / "checkpoints" / "last.safetensors"
    assert same_answers(Timm(**MODEL, weights=path, channels=1), last, images)


def test_torchvision_loads_a_run_too(tmp_path: Path) -> None:
    first = Torchvision(model="resnet18", weights="random", classes=3)
    second = Torchvision(model="resnet18", weights=write_run(tmp_path / "run", net=first))
    assert second.classes == 3
    assert second.class_names is None
    assert same_answers(first, second, torch.rand(2, 3, 48, 48))


def fails(message: str) -> Any:
    return pytest.raises(WeightsError, match=f"^{re.escape(message)}")


def test_neither_a_run_nor_a_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with fails(f"{run}: no such weight file or run folder"):
        Timm(**MODEL, weights=run, channels=1)
    run.mkdir()
    best = run / "checkpoints" / "best.safetensors"
    with fails(f"{run}: no checkpoint in this folder; expected {best} or last.safetensors"):
        Timm(**MODEL, weights=run, channels=1)


@pytest.mark.parametrize(("names", "found"), [((), "none"), (("a", "b"), "a and b")])
def test_a_run_that_trained_none_or_several_classifiers(
    tmp_path: Path, names: tuple[str, ...], found: str
) -> None:
    write_run(tmp_path, **{name: pupil() for name in names})
    path = tmp_path / "checkpoints" / "best.safetensors"
    message = f"{path}: expected a run that trained one classifier; this one trained {found}"
    with fails(message):
        Timm(**MODEL, weights=tmp_path, channels=1)


def test_a_run_with_another_normalisation(tmp_path: Path) -> None:
    write_run(tmp_path, net=Timm(model="test_resnet", weights="random"))
    message = f"{tmp_path}: trained with normalise: published, not image; use the same"
    with fails(message):
        Timm(model="test_resnet", weights=tmp_path, normalise="image")


def test_a_run_of_another_network(tmp_path: Path) -> None:
    write_run(tmp_path, net=pupil())
    with fails(f"{tmp_path}: made for another network or another number of classes: "):
        Timm(model="test_resnet", weights=tmp_path, normalise="image", channels=1)
    with fails(
        f"{tmp_path}: made for another network or another number of classes: conv_stem.weight is "
        "(24, 1, 3, 3), expected (24, 3, 3, 3)"
    ):
        Timm(**MODEL, weights=tmp_path, channels=3)


def test_a_trained_classifier_is_the_frozen_teacher_of_the_next_run(
    tmp_path: Path, registry: Registry
) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=8)
    net = {"type": "timm", "model": "test_efficientnet"}
    alone = {
        "generator": None,
        "degradation": None,
        "losses": {"l1": None},
        "teachers": {"net": {**net, "weights": "random", "classes": 4, "trainable": True}},
    }
    classifier = run(make_tree(pictures, alone), tmp_path / "classifier", registry)
    trained = {
        key.removeprefix("teachers.net/"): value
        for key, value in read_tensors(classifier).items()
        if key.startswith("teachers.net/")
    }
    teacher = {"net": {**net, "weights": str(tmp_path / "classifier")}}
    stages = {"blocks.1": 1.0}
    losses = {"losses": {"feature_mse": {"stages": stages}}, "teachers": teacher}
    run(make_tree(pictures, losses), tmp_path / "next", registry)
    built = Timm(model="test_efficientnet", weights=tmp_path / "classifier")
    assert built.classes == 4
    state = built.state_dict()
    assert state.keys() == trained.keys()
    assert all(torch.equal(state[key], trained[key]) for key in trained)
    log = (tmp_path / "next" / "metrics.jsonl").read_text()
    assert "loss/feature_mse" in log


def test_a_stretch_other_than_that_of_the_classifier(tmp_path: Path, registry: Registry) -> None:
    folder = write_run(tmp_path / "run", pupil=pupil())
    teacher = {"type": "timm", **MODEL, "weights": str(folder), "classes": 3}
    tree = {
        "name": "other",
        "channels": 1,
        "scale": 2,
        "generator": {"type": "edsr", "blocks": 1, "features": 4},
        "losses": {"mse": {}},
        "teachers": {"judge": teacher},
    }
    assemble(parse_recipe(tree, "other"), registry, "other", splits=())
    tree["stretch"] = {"type": "linear", "peak": 2.0}
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(tree, "other"), registry, "other", splits=())
    assert caught.value.problems == [
        f"teachers.judge.weights: {folder} was trained with stretch None, this recipe uses "
        "{'type': 'linear', 'peak': 2.0, 'offset': 0.0}; use the same stretch in both"
    ]
