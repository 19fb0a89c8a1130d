"""Metrics on a teacher's answers: one number for each image, in float32."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.class_choice import Choice
from srkit.interfaces import Answer, Batch
from srkit_teachers.chosen import Chosen


class ScoreMSE:
    """Mean squared difference of the scores on SR and on the original, over the classes.

    Parameters
    ----------
    classes
        The classes that count, as if there were no others: indices, wnids or names of ImageNet's,
        or a file that lists them; by default all.
    """

    higher_is_better = False
    unit = ""
    stages: Sequence[str] = ()

    def __init__(self, *, classes: Choice | None = None) -> None:
        self._chosen = Chosen(classes, "metric 'score_mse'")
        self.protocol = f"scores before the softmax, mean over classes{self._chosen}"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        given, wanted = (self._chosen.logits(one) for one in (answer, target))
        return (given - wanted).square().mean(dim=1)


class CrossEntropy:
    """Cross-entropy of the class probabilities on SR with the labels.

    Parameters
    ----------
    classes
        The classes that count, as if there were no others: indices, wnids or names of ImageNet's,
        or a file that lists them; by default all.
    """

    higher_is_better = False
    unit = "nat"
    stages: Sequence[str] = ()

    def __init__(self, *, classes: Choice | None = None) -> None:
        self._chosen = Chosen(classes, "metric 'cross_entropy'")
        self.protocol = f"labels of the data, natural logarithm{self._chosen}"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR: shape ``(N,)``; a DataError if it is unlabelled."""
        return _cross_entropy(self._chosen, answer, batch)


class CrossEntropyGap:
    """Cross-entropy on SR less that on the original: what the images lost for the teacher.

    Parameters
    ----------
    classes
        The classes that count, as if there were no others: indices, wnids or names of ImageNet's,
        or a file that lists them; by default all.
    """

    higher_is_better = False
    unit = "nat"
    stages: Sequence[str] = ()

    def __init__(self, *, classes: Choice | None = None) -> None:
        self._chosen = Chosen(classes, "metric 'cross_entropy_gap'")
        self.protocol = f"SR less original, labels of the data, natural logarithm{self._chosen}"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        sr, original = (_cross_entropy(self._chosen, one, batch) for one in (answer, target))
        return sr - original


class Accuracy:
    """Whether the label is among the best classes on SR: 1 or 0.

    Parameters
    ----------
    top
        How many of the best classes count.
    classes
        The classes to choose the best of: indices, wnids or names of ImageNet's, or a file that
        lists them; by default all. Labels are still those of all.
    """

    higher_is_better = True
    unit = ""
    stages: Sequence[str] = ()

    def __init__(self, *, top: PositiveInt = 1, classes: Choice | None = None) -> None:
        self.top = top
        self._chosen = Chosen(classes, "metric 'accuracy'")
        self.protocol = f"top {top}, labels of the data{self._chosen}"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR: shape ``(N,)``.

        Raises
        ------
        DataError
            If the batch has no labels, or one that is none of the classes.
        ValueError
            If `top` exceeds the number of classes.
        """
        logits = self._chosen.logits(answer)
        classes = logits.shape[1]
        if self.top > classes:
            raise ValueError(f"top is {self.top}, but the teacher tells only {classes} classes")
        labels = self._chosen.labels(batch, answer)
        best = logits.topk(self.top, dim=1).indices
        return (best == labels[:, None]).any(dim=1).float()


class Agreement:
    """Whether the best class on SR is the best class on the original: 1 or 0.

    Parameters
    ----------
    classes
        The classes that count, as if there were no others: indices, wnids or names of ImageNet's,
        or a file that lists them; by default all.
    """

    higher_is_better = True
    unit = ""
    stages: Sequence[str] = ()

    def __init__(self, *, classes: Choice | None = None) -> None:
        self._chosen = Chosen(classes, "metric 'agreement'")
        self.protocol = f"top 1, no labels{self._chosen}"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        given, wanted = (self._chosen.logits(one).argmax(dim=1) for one in (answer, target))
        return (given == wanted).float()


def _cross_entropy(chosen: Chosen, answer: Answer, batch: Batch) -> Tensor:
    return F.cross_entropy(chosen.logits(answer), chosen.labels(batch, answer), reduction="none")
