"""Metrics on a teacher's answers: one number for each image, in float32."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Answer, Batch
from srkit.labels import labels_of


class ScoreMSE:
    """Mean squared difference of the scores on SR and on the original, over the classes."""

    higher_is_better = False
    unit = ""
    protocol = "scores before the softmax, mean over all classes"
    stages: Sequence[str] = ()

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        return (answer.logits.float() - target.logits.float()).square().mean(dim=1)


class CrossEntropy:
    """Cross-entropy of the class probabilities on SR with the labels."""

    higher_is_better = False
    unit = "nat"
    protocol = "labels of the data, natural logarithm"
    stages: Sequence[str] = ()

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR: shape ``(N,)``; a DataError if it is unlabelled."""
        return _cross_entropy(answer, batch, "metric 'cross_entropy'")


class CrossEntropyGap:
    """Cross-entropy on SR less that on the original: what the images lost for the teacher."""

    higher_is_better = False
    unit = "nat"
    protocol = "SR less original, labels of the data, natural logarithm"
    stages: Sequence[str] = ()

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        name = "metric 'cross_entropy_gap'"
        return _cross_entropy(answer, batch, name) - _cross_entropy(target, batch, name)


class Accuracy:
    """Whether the label is among the best classes on SR: 1 or 0.

    Parameters
    ----------
    top
        How many of the best classes count.
    """

    higher_is_better = True
    unit = ""
    stages: Sequence[str] = ()

    def __init__(self, *, top: PositiveInt = 1) -> None:
        self.top = top
        self.protocol = f"top {top}, labels of the data"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR: shape ``(N,)``.

        Raises
        ------
        DataError
            If the batch has no labels, or one that is no class of the teacher's.
        ValueError
            If `top` exceeds the number of classes.
        """
        classes = answer.logits.shape[1]
        if self.top > classes:
            raise ValueError(f"top is {self.top}, but the teacher tells only {classes} classes")
        labels = labels_of(batch, classes, "metric 'accuracy'")
        best = answer.logits.topk(self.top, dim=1).indices
        return (best == labels[:, None]).any(dim=1).float()


class Agreement:
    """Whether the best class on SR is the best class on the original: 1 or 0."""

    higher_is_better = True
    unit = ""
    protocol = "top 1, no labels"
    stages: Sequence[str] = ()

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        return (answer.logits.argmax(dim=1) == target.logits.argmax(dim=1)).float()


def _cross_entropy(answer: Answer, batch: Batch, reader: str) -> Tensor:
    logits = answer.logits.float()
    return F.cross_entropy(logits, labels_of(batch, logits.shape[1], reader), reduction="none")
