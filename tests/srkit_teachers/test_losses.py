"""Losses on answers, compared with their formulae or with torchmetrics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from srkit_teachers.losses import CrossEntropy, FeatureL1, FeatureMSE, LogitKL, LogitMSE, SoftIoU
from torch import Tensor
from torchmetrics.functional import kl_divergence

from srkit.components.options import build
from srkit.errors import DataError
from srkit.interfaces import Answer, Batch, TeacherLoss


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


ANSWER = Answer(
    random(4, 10, seed=1), {"a": random(4, 3, 5, 5, seed=2), "b": random(4, 2, 2, 2, seed=3)}
)
TARGET = Answer(
    random(4, 10, seed=4), {"a": random(4, 3, 5, 5, seed=5), "b": random(4, 2, 2, 2, seed=6)}
)
LABELS = torch.tensor([3, 0, 9, 1])


def batch(labels: Tensor | None = LABELS) -> Batch:
    return Batch(["p", "q", "r", "s"], torch.zeros(4, 3, 2, 2), [0, 1, 2, 3], labels=labels)


def test_logit_mse() -> None:
    total = sum(
        (float(a) - float(b)) ** 2
        for a, b in zip(ANSWER.logits.flatten(), TARGET.logits.flatten(), strict=True)
    )
    assert float(LogitMSE()(ANSWER, TARGET, batch())) == pytest.approx(total / 40, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_logit_kl(temperature: float) -> None:
    p, q = (torch.softmax(x.logits / temperature, 1) for x in (TARGET, ANSWER))
    expected = temperature**2 * kl_divergence(p, q)
    loss = LogitKL(temperature=temperature)
    assert torch.allclose(loss(ANSWER, TARGET, batch()), expected, rtol=1e-5)
    assert float(loss(TARGET, TARGET, batch())) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing: float) -> None:
    logp = (ANSWER.logits.double() - ANSWER.logits.double().logsumexp(1, keepdim=True)).numpy()
    wanted = -sum(
        (1 - smoothing) * logp[i, k] + smoothing * logp[i].mean()
        for i, k in enumerate(LABELS.tolist())
    )
    found = CrossEntropy(label_smoothing=smoothing)(ANSWER, TARGET, batch())
    assert float(found) == pytest.approx(wanted / 4, rel=1e-5)


def test_feature_losses() -> None:
    a = ANSWER.features["a"] - TARGET.features["a"]
    b = ANSWER.features["b"] - TARGET.features["b"]
    l1 = FeatureL1(stages={"a": 2.0, "b": 0.5})
    assert list(l1.stages) == ["a", "b"]
    expected = 2 * a.abs().sum() / a.numel() + 0.5 * b.abs().sum() / b.numel()
    assert torch.allclose(l1(ANSWER, TARGET, batch()), expected)
    mse = FeatureMSE(stages={"b": 3.0})
    assert torch.allclose(mse(ANSWER, TARGET, batch()), 3 * (b * b).sum() / b.numel())


@pytest.mark.parametrize(
    "loss", [LogitMSE(), LogitKL(), CrossEntropy(), FeatureL1(stages={"a": 1.0})]
)
def test_losses_are_float32_for_any_input_type(loss: Any) -> None:
    low, wanted = (
        Answer(x.logits.bfloat16(), {k: v.bfloat16() for k, v in x.features.items()})
        for x in (ANSWER, TARGET)
    )
    high_low, high_wanted = (
        Answer(x.logits.float(), {k: v.float() for k, v in x.features.items()})
        for x in (low, wanted)
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(low, wanted, batch())
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(high_low, high_wanted, batch()))
    assert isinstance(loss, TeacherLoss)


def test_unlabelled_data() -> None:
    with pytest.raises(
        DataError, match=r"the loss 'cross_entropy' needs class labels, but the data have none"
    ):
        CrossEntropy()(ANSWER, TARGET, batch(None))


@pytest.mark.parametrize("label", [10, -1])
def test_label_outside_the_classes(label: int) -> None:
    labels = torch.tensor([3, label, 9, 1])
    with pytest.raises(DataError, match=rf"q: has label {label}; .* expects 0 to 9"):
        CrossEntropy()(ANSWER, TARGET, batch(labels))


@pytest.mark.parametrize("factory", [FeatureL1, FeatureMSE])
def test_bad_stages(factory: Any) -> None:
    with pytest.raises(ValueError, match="stages: empty; name at least one stage"):
        build(factory, {"stages": {}})
    with pytest.raises(ValidationError, match="greater than 0"):
        build(factory, {"stages": {"a": 0.0}})


def test_bad_options() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        build(LogitKL, {"temperature": 0})
    with pytest.raises(ValidationError, match="less than 1"):
        build(CrossEntropy, {"label_smoothing": 1})


def test_losses_of_pixels() -> None:
    given, wanted = random(2, 3, 5, 4, seed=7), random(2, 3, 5, 4, seed=8)
    masks = torch.randint(-1, 3, (2, 5, 4), generator=torch.Generator().manual_seed(9))
    of_pixels = Batch(["p", "q"], torch.zeros(2, 1, 5, 4), [0, 1], masks=masks)
    p, q = (x.double().movedim(1, -1).reshape(-1, 3).softmax(1) for x in (wanted, given))
    found = LogitKL(temperature=1.0)(Answer(given), Answer(wanted), of_pixels)
    assert float(found) == pytest.approx(float(kl_divergence(p, q)), rel=1e-5)
    surprise = -q.log()[torch.arange(40), masks.flatten().clamp(min=0)]
    expected = surprise[masks.flatten() >= 0].mean()
    found = CrossEntropy()(Answer(given), Answer(wanted), of_pixels)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_patterns_of_stages() -> None:
    many = FeatureMSE(stages={"*": 2.0})(ANSWER, TARGET, batch())
    named = FeatureMSE(stages={"a": 2.0, "b": 2.0})(ANSWER, TARGET, batch())
    assert torch.equal(many, named)


def test_soft_iou_by_hand() -> None:
    given, wanted = random(2, 3, 5, 4, seed=7), random(2, 3, 5, 4, seed=8)
    p = given.double().softmax(1).numpy()
    best = wanted.argmax(1).numpy()
    shares = []
    for k in range(3):
        both = p[:, k][best == k].sum()
        shares.append(both / (p[:, k].sum() + (best == k).sum() - both))
    of_pixels = Batch(["p", "q"], torch.zeros(2, 1, 5, 4), [0, 1])
    found = SoftIoU()(Answer(given), Answer(wanted), of_pixels)
    assert float(found) == pytest.approx(1 - sum(shares) / 3, rel=1e-5)
    found = SoftIoU(classes=[0, 2])(Answer(given), Answer(wanted), of_pixels)
    assert float(found) == pytest.approx(1 - (shares[0] + shares[2]) / 2, rel=1e-5)
    assert float(SoftIoU()(Answer(1e3 * wanted), Answer(wanted), of_pixels)) < 1e-5
    expected = "^the loss 'soft_iou': the teacher has 3 classes, no class 3$"
    with pytest.raises(DataError, match=expected):
        SoftIoU(classes=[3])(Answer(given), Answer(wanted), of_pixels)
