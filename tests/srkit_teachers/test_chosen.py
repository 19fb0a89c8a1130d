"""Teachers, losses and metrics restricted to chosen classes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from srkit_teachers import losses, metrics
from srkit_teachers.classifiers.efficientnet_lite0 import EfficientNetLite0
from srkit_teachers.classifiers.timm_models import Timm
from srkit_teachers.classifiers.torchvision_models import Torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from training_setup import make_pictures, make_tree, run

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.interfaces import Answer, Batch

GENERATOR = torch.Generator().manual_seed(3)
ANSWER = Answer(torch.randn(20, 9, generator=GENERATOR))
TARGET = Answer(ANSWER.logits + torch.randn(20, 9, generator=GENERATOR))
SOME: list[int | str] = [7, 2, 4]
COLUMNS = [2, 4, 7]
#: Labels among all nine classes, all of them chosen.
LABELS = torch.tensor(COLUMNS)[torch.randint(3, (20,), generator=GENERATOR)]


def batch(labels: Tensor | None = LABELS) -> Batch:
    return Batch(
        [f"{k}.png" for k in range(20)], torch.zeros(20, 3, 1, 1), range(20), labels=labels
    )


def few(answer: Answer) -> Answer:
    return Answer(answer.logits[:, COLUMNS])


def relabelled() -> Batch:
    return batch(torch.tensor([COLUMNS.index(k) for k in LABELS.tolist()]))


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        (losses.LogitMSE, {}),
        (losses.LogitKL, {"temperature": 2.0}),
        (losses.CrossEntropy, {"label_smoothing": 0.1}),
        (metrics.ScoreMSE, {}),
        (metrics.CrossEntropy, {}),
        (metrics.CrossEntropyGap, {}),
        (metrics.Divergence, {}),
        (metrics.Accuracy, {"top": 2}),
        (metrics.Agreement, {}),
    ],
)
def test_other_classes_do_not_affect_the_result(factory: Any, options: dict[str, Any]) -> None:
    found = factory(**options, classes=SOME)(ANSWER, TARGET, batch())
    assert torch.equal(found, factory(**options)(few(ANSWER), few(TARGET), relabelled()))
    assert not torch.equal(found, factory(**options)(ANSWER, TARGET, batch()))


def test_the_softmax_is_over_the_chosen_classes() -> None:
    found = metrics.CrossEntropy(classes=SOME)(ANSWER, TARGET, batch())
    odds = ANSWER.logits.double().exp()
    expected = -(odds[range(20), LABELS] / odds[:, COLUMNS].sum(1)).log()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_other_classes_get_no_gradient() -> None:
    logits = ANSWER.logits.clone().requires_grad_()
    losses.LogitMSE(classes=SOME)(Answer(logits), TARGET, batch()).backward()
    assert logits.grad is not None
    touched = logits.grad.abs().sum(0).nonzero().flatten().tolist()
    assert touched == COLUMNS


def test_protocols_state_the_number_of_chosen_classes() -> None:
    whole = "top 1, labels or masks of the data"
    assert metrics.Accuracy(classes=SOME).protocol == f"{whole}, among 3 classes"
    assert metrics.Accuracy().protocol == whole


def test_a_label_that_was_not_chosen() -> None:
    labels = LABELS.clone()
    labels[5] = 3
    message = (
        "5.png: its label 3 is not one of the 3 classes of the metric 'accuracy'; remove "
        "such images or choose more classes"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        metrics.Accuracy(classes=SOME)(ANSWER, TARGET, batch(labels))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([1, 9], "the metric 'accuracy': the teacher has 9 classes, no class 9"),
        (
            ["tench", "goldfish"],
            "the metric 'accuracy': its classes are chosen by the names of ImageNet's 1000, but "
            "the teacher has 9; choose by index",
        ),
    ],
)
def test_classes_that_the_teacher_lacks(classes: list[int | str], message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        metrics.Accuracy(classes=classes)(ANSWER, TARGET, batch())


def test_names_that_imagenet_lacks() -> None:
    message = "^classes: unknown class 'tensch' of 1000; did you mean 'tench'"
    with pytest.raises(ValueError, match=message):
        losses.LogitMSE(classes=["tensch", 3])


@pytest.mark.parametrize("factory", [EfficientNetLite0, Timm, Torchvision])
def test_a_teacher_with_chosen_classes(factory: Any) -> None:
    options: dict[str, Any] = {}
    if factory is not EfficientNetLite0:
        model = "resnet18" if factory is Torchvision else "test_resnet"
        options = {"model": model, "weights": "random"}
    torch.manual_seed(1)
    whole = factory(**options).eval()
    torch.manual_seed(1)
    part = factory(**options, classes=["n01443537", "Great White Shark", 0]).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(part(images).logits, whole(images).logits[:, :3])
    assert part.classes == 3
    assert [name.split(",")[0] for name in part.class_names] == [
        "tench",
        "goldfish",
        "great white shark",
    ]
    assert part.state_dict().keys() == whole.state_dict().keys()


@pytest.mark.parametrize(
    "model",
    ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "googlenet", "densenet121"],
)
def test_a_new_head_of_torchvision(model: str, tmp_path: Path) -> None:
    """Only the last layer is new; all others have the weights of the file."""
    whole = Torchvision(model=model, weights="random")
    path = tmp_path / "all.safetensors"
    save_file(whole.network.state_dict(), path)
    part = Torchvision(model=model, weights=path, classes=4, new_head=True).eval()
    with torch.no_grad():
        assert part(torch.rand(1, 3, 64, 64)).logits.shape == (1, 4)
    assert (part.classes, part.class_names) == (4, None)
    compare_heads(whole, part)


def test_a_new_head_of_timm(tmp_path: Path) -> None:
    whole = Timm(model="test_resnet", weights="random")
    path = tmp_path / "all.safetensors"
    save_file(whole.network.state_dict(), path)
    part = Timm(model="test_resnet", weights=path, classes=4, new_head=True).eval()
    with torch.no_grad():
        assert part(torch.rand(1, 3, 64, 64)).logits.shape == (1, 4)
    assert (part.classes, part.class_names) == (4, None)
    compare_heads(whole, part)


def compare_heads(whole: nn.Module, part: nn.Module) -> None:
    before, after = whole.state_dict(), part.state_dict()
    assert before.keys() == after.keys()
    changed = {key for key in before if before[key].shape != after[key].shape}
    assert len({key.rpartition(".")[0] for key in changed}) == 1
    assert all(torch.equal(before[key], after[key]) for key in before.keys() - changed)


def test_efficientnet_lite0_with_a_new_head() -> None:
    whole, part = EfficientNetLite0(), EfficientNetLite0(classes=10, new_head=True)
    compare_heads(whole, part)
    assert (part.classes, part.class_names) == (10, None)


@pytest.mark.parametrize("classes", [None, [1, 2]])
def test_a_new_head_needs_a_number(classes: Any) -> None:
    message = "^new_head: requires a number of classes; set 'classes' to a number$"
    for factory in (Timm, Torchvision):
        with pytest.raises(ValueError, match=message):
            factory(model="resnet18", weights="random", classes=classes, new_head=True)
    with pytest.raises(ValueError, match=message):
        EfficientNetLite0(classes=classes, new_head=True)


def test_a_number_of_classes_other_than_the_published_one() -> None:
    message = (
        "^the published weights have 1000 classes, not 7; remove 'classes', give a file, or "
        "train with new_head: true or weights: random$"
    )
    with pytest.raises(ValueError, match=message):
        EfficientNetLite0(classes=7)


def test_a_trained_classifier_keeps_its_chosen_classes(tmp_path: Path, registry: Registry) -> None:
    """A classifier trained with four chosen classes reports these classes in the next run."""
    pictures = make_pictures(tmp_path / "pictures", count=8)
    teacher = {"type": "timm", "model": "test_resnet", "weights": "random", "trainable": True}
    tree = {
        "generator": None,
        "degradation": None,
        "losses": {"l1": None},
        "teachers": {"net": {**teacher, "classes": ["tench", "goldfish", 7, 9]}},
    }
    run(make_tree(pictures, tree), tmp_path / "run", registry)
    taken = Timm(model="test_resnet", weights=tmp_path / "run").eval()
    assert taken.classes == 4
    assert taken.network.num_classes == 1000
    fewer = Timm(model="test_resnet", weights=tmp_path / "run", classes=[1, 7]).eval()
    images = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(fewer(images).logits, taken(images).logits[:, [1, 2]])


def test_cross_entropy_among_chosen_classes_is_at_most_that_among_all() -> None:
    whole = F.cross_entropy(ANSWER.logits, LABELS)
    part = losses.CrossEntropy(classes=SOME)(ANSWER, TARGET, batch())
    assert part < whole
