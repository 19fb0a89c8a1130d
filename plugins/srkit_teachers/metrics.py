"""Metrics on a teacher's scores: one number for each image, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.data import TASKS, Choice
from srkit.interfaces import VOID, Answer, Batch, Task
from srkit_teachers.chosen import Chosen
from srkit_teachers.losses import OF_CLASSES


class _ClassMetric:
    """A metric of the scores of all classes or of a subset.

    Attributes
    ----------
    name, settings
        Name in recipes, and the protocol without the classes.
    """

    higher_is_better = False
    unit = ""
    stages: Sequence[str] = ()
    tasks: Sequence[Task] = OF_CLASSES
    name: ClassVar[str]
    settings: ClassVar[str]

    def __init__(self, *, classes: Choice | None = None) -> None:
        self._chosen = Chosen(classes, f"metric '{self.name}'")
        self.protocol = f"{self.settings}{self._chosen}"


class ScoreMSE(_ClassMetric):
    """Mean squared difference of the scores on SR and on the original, over the classes.

    The scores of the image, of its pixels or of a detector's anchors, or the components of an
    embedding.

    Parameters
    ----------
    classes
        The classes to use, as if there were no others: indices, WordNet IDs or names of ImageNet,
        or a file that lists them; by default all.
    """

    name = "score_mse"
    settings = "scores before the softmax, mean over classes"
    tasks = TASKS

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        given, wanted = (self._chosen.logits(one) for one in (answer, target))
        return (given - wanted).square().flatten(1).mean(dim=1)


class CrossEntropy(_ClassMetric):
    """Cross-entropy of the class probabilities on SR with the labels or, per pixel, the masks.

    Parameters
    ----------
    classes
        The classes to use, as if there were no others: indices, WordNet IDs or names of ImageNet,
        or a file that lists them; by default all.
    """

    name = "cross_entropy"
    settings = "labels or masks of the data, natural logarithm"
    unit = "nat"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR: shape ``(N,)``; a DataError if it is unlabelled."""
        return _cross_entropy(self._chosen, answer, batch)


class Divergence(_ClassMetric):
    """Kullback-Leibler divergence of the class probabilities on SR from those on the original.

    KL(original || SR), 0 if they are equal; it is the cross-entropy with the probabilities on the
    original, instead of a label, minus their entropy. Averaged over the pixels of a segmentation.

    Parameters
    ----------
    classes
        The classes to use, as if there were no others: indices, WordNet IDs or names of ImageNet,
        or a file that lists them; by default all.
    """

    name = "divergence"
    settings = "KL(original || SR) of the class probabilities, natural logarithm"
    unit = "nat"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        given, wanted = (
            torch.log_softmax(self._chosen.logits(one), dim=1) for one in (answer, target)
        )
        divergence = F.kl_div(given, wanted, reduction="none", log_target=True).sum(1)
        return divergence.flatten(1).mean(1) if divergence.ndim > 1 else divergence


class CrossEntropyGap(_ClassMetric):
    """Cross-entropy on SR minus that on the original: the loss of information for the teacher.

    Parameters
    ----------
    classes
        The classes to use, as if there were no others: indices, WordNet IDs or names of ImageNet,
        or a file that lists them; by default all.
    """

    name = "cross_entropy_gap"
    settings = "SR minus original, labels or masks of the data, natural log"
    unit = "nat"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        sr, original = (_cross_entropy(self._chosen, one, batch) for one in (answer, target))
        return sr - original


class Accuracy(_ClassMetric):
    """Whether the label is among the best classes on SR (1 or 0); for masks, the share of pixels.

    Parameters
    ----------
    top
        Number of best classes that count.
    classes
        The classes to choose the best from: indices, WordNet IDs or names of ImageNet, or a file
        that lists them; by default all. Labels still refer to all classes.
    """

    name = "accuracy"
    settings = "labels or masks of the data"
    higher_is_better = True

    def __init__(self, *, top: PositiveInt = 1, classes: Choice | None = None) -> None:
        super().__init__(classes=classes)
        self.top = top
        self.protocol = f"top {top}, {self.protocol}"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR: shape ``(N,)``.

        Raises
        ------
        DataError
            If the batch has no labels or masks, or a label is not one of the classes.
        ValueError
            If `top` exceeds the number of classes.
        """
        logits = self._chosen.logits(answer)
        classes = logits.shape[1]
        if self.top > classes:
            raise ValueError(f"top is {self.top}, but the teacher has only {classes} classes")
        truth = self._chosen.truth(batch, answer)
        best = logits.topk(self.top, dim=1).indices
        return _image_mean((best == truth[:, None]).any(dim=1), truth != VOID)


class Agreement(_ClassMetric):
    """Whether SR and original have the same best class (1 or 0); for masks, the share of pixels.

    Parameters
    ----------
    classes
        The classes to use, as if there were no others: indices, WordNet IDs or names of ImageNet,
        or a file that lists them; by default all.
    """

    name = "agreement"
    settings = "top 1, no labels"
    higher_is_better = True

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        given, wanted = (self._chosen.logits(one).argmax(dim=1) for one in (answer, target))
        return _image_mean(given == wanted, torch.ones_like(given, dtype=torch.bool))


def _cross_entropy(chosen: Chosen, answer: Answer, batch: Batch) -> Tensor:
    truth = chosen.truth(batch, answer)
    surprise = F.cross_entropy(chosen.logits(answer), truth, ignore_index=VOID, reduction="none")
    return _image_mean(surprise, truth != VOID)


def _image_mean(values: Tensor, known: Tensor) -> Tensor:
    """Average the known values of each image, ``(N, ...)``: ``(N,)``, NaN if there are none."""
    count = known.view(len(known), -1).sum(1)
    return (values.float() * known).view(len(values), -1).sum(1) / count
