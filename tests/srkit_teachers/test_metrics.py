"""Metrics on answers, compared with torchmetrics and hand-made cases."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import entropy
from srkit_teachers.metrics import (
    Accuracy,
    Agreement,
    CrossEntropy,
    CrossEntropyGap,
    Divergence,
    ScoreMSE,
)
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy

from srkit.errors import DataError
from srkit.interfaces import Answer, Batch, TeacherMetric

GENERATOR = torch.Generator().manual_seed(7)
ANSWER = Answer(torch.randn(30, 6, generator=GENERATOR))
TARGET = Answer(ANSWER.logits + torch.randn(30, 6, generator=GENERATOR))
LABELS = torch.randint(6, (30,), generator=GENERATOR)


def batch(labels: Tensor | None = LABELS) -> Batch:
    names = [str(i) for i in range(30)]
    return Batch(names, torch.zeros(30, 3, 1, 1), range(30), labels=labels)


def nats(answer: Answer) -> list[float]:
    probabilities = torch.softmax(answer.logits.double(), 1)
    return [-float(probabilities[i, k].log()) for i, k in enumerate(LABELS.tolist())]


def test_score_mse() -> None:
    found = ScoreMSE()(ANSWER, TARGET, batch(None))
    squares = (ANSWER.logits - TARGET.logits) ** 2
    assert found.tolist() == pytest.approx((squares.sum(1) / 6).tolist(), rel=1e-5)


def test_cross_entropy_and_its_gap() -> None:
    found = CrossEntropy()(ANSWER, TARGET, batch())
    assert found.tolist() == pytest.approx(nats(ANSWER), rel=1e-5)
    gap = CrossEntropyGap()(ANSWER, TARGET, batch())
    expected = [a - b for a, b in zip(nats(ANSWER), nats(TARGET), strict=True)]
    assert gap.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_divergence() -> None:
    found = Divergence()(ANSWER, TARGET, batch(None))
    given, wanted = (torch.softmax(one.logits.double(), 1).numpy() for one in (ANSWER, TARGET))
    assert found.tolist() == pytest.approx(entropy(wanted, given, axis=1).tolist(), rel=1e-4)
    assert Divergence()(TARGET, TARGET, batch(None)).abs().max() == 0


def test_divergence_of_a_segmentation() -> None:
    """The mean over the pixels."""
    answer, target = (Answer(one.logits.view(2, 15, 6).mT[..., None]) for one in (ANSWER, TARGET))
    found = Divergence()(answer, target, batch(None))
    expected = Divergence()(ANSWER, TARGET, batch(None)).view(2, 15).mean(1)
    assert found.tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("top", [1, 3])
def test_accuracy(top: int) -> None:
    found = Accuracy(top=top)(ANSWER, TARGET, batch())
    assert found.shape == (30,)
    expected = multiclass_accuracy(ANSWER.logits, LABELS, num_classes=6, average="micro", top_k=top)
    assert torch.allclose(found.mean(), expected)


def test_agreement() -> None:
    answer = Answer(torch.tensor([[0.0, 2.0, 1.0], [5.0, 1.0, 0.0]]))
    target = Answer(torch.tensor([[0.1, 0.9, 0.0], [1.0, 2.0, 3.0]]))
    images = Batch(["a", "b"], torch.zeros(2, 3, 1, 1), [0, 1])
    assert Agreement()(answer, target, images).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("metric", "higher"),
    [
        (ScoreMSE(), False),
        (CrossEntropy(), False),
        (CrossEntropyGap(), False),
        (Divergence(), False),
        (Accuracy(), True),
        (Agreement(), True),
    ],
)
def test_describes_itself(metric: Any, higher: bool) -> None:
    assert isinstance(metric, TeacherMetric)
    assert metric.higher_is_better is higher
    assert metric.protocol
    found = metric(Answer(ANSWER.logits.bfloat16()), TARGET, batch())
    assert found.dtype == torch.float32
    assert found.shape == (30,)


@pytest.mark.parametrize("metric", [CrossEntropy(), CrossEntropyGap(), Accuracy()])
def test_unlabelled_data(metric: Any) -> None:
    with pytest.raises(DataError, match=r"the metric '\w+' needs class labels"):
        metric(ANSWER, TARGET, batch(None))


def test_more_than_all_classes() -> None:
    with pytest.raises(ValueError, match="top is 7, but the teacher has only 6 classes"):
        Accuracy(top=7)(ANSWER, TARGET, batch())
