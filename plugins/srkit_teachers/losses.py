"""Losses on a teacher's answers, in float32 whatever precision the networks run in."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from srkit.data import TASKS, Choice
from srkit.errors import DataError
from srkit.interfaces import VOID, Answer, Batch, Task
from srkit_teachers.chosen import Chosen

#: Tasks whose scores are those of classes that exclude each other.
OF_CLASSES: tuple[Task, ...] = ("classification", "segmentation")


class LogitMSE:
    """Mean squared difference of the scores: distillation with scores, as DarioNet does.

    Scores are those before the softmax: of images, of pixels (segmentation) or of anchors
    (detection); of an embedding they are its components. The mean is over all of them.

    Parameters
    ----------
    classes
        Compare the scores of these classes alone: indices, wnids or names of ImageNet's, or a file
        that lists them; by default all.
    """

    stages: Sequence[str] = ()
    tasks: Sequence[Task] = TASKS

    def __init__(self, *, classes: Choice | None = None) -> None:
        self._chosen = Chosen(classes, "loss 'logit_mse'")

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the scores on SR with those on HR: a scalar."""
        given, wanted = (self._chosen.logits(one) for one in (answer, target))
        return (given - wanted).square().mean()


class LogitKL:
    """Divergence of the softened class probabilities from the teacher's (Hinton et al. 2015).

    T^2 KL(softmax(target / T) || softmax(answer / T)), the mean over images, for segmentation over
    all their pixels (Liu et al. 2019, "Structured knowledge distillation for semantic
    segmentation", equation 1); the factor keeps the gradient's size when T changes.

    Parameters
    ----------
    temperature
        T, by which the scores are divided.
    classes
        Of which to take the probabilities, among these alone: indices, wnids or names of
        ImageNet's, or a file that lists them; by default all.
    """

    stages: Sequence[str] = ()
    tasks: Sequence[Task] = OF_CLASSES

    def __init__(self, *, temperature: PositiveFloat = 4.0, classes: Choice | None = None) -> None:
        self.temperature = temperature
        self._chosen = Chosen(classes, "loss 'logit_kl'")

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the scores on SR with those on HR: a scalar."""
        given, wanted = (
            torch.log_softmax(self._chosen.logits(one) / self.temperature, dim=1)
            for one in (answer, target)
        )
        divergence = F.kl_div(given, wanted, reduction="none", log_target=True).sum(1).mean()
        return self.temperature**2 * divergence


class SoftIoU:
    """One less the intersection over union of what is segmented in SR and in HR.

    Rahman & Wang 2016 ("Optimizing intersection-over-union in deep neural networks"), over all
    pixels of the batch: HR's classes are the teacher's best, SR's its probabilities. Where SR says
    too little to be sure, `logit_kl` is lowest at probabilities that call hardly a pixel a rare
    class; this loss is not.

    Parameters
    ----------
    classes
        Indices of the classes that are averaged; by default all.
    """

    stages: Sequence[str] = ()
    tasks: Sequence[Task] = ("segmentation",)

    def __init__(
        self, *, classes: Annotated[list[NonNegativeInt], Field(min_length=1)] | None = None
    ) -> None:
        self.classes = classes

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the segmentation of SR with that of HR: a scalar.

        Raises
        ------
        DataError
            If a class is averaged that the teacher does not tell.
        """
        given = answer.logits.float().softmax(1)
        count = given.shape[1]
        if self.classes is not None and max(self.classes) >= count:
            raise DataError(
                f"the loss 'soft_iou': class {max(self.classes)} is none of the teacher's {count}"
            )
        wanted = F.one_hot(target.logits.argmax(1), count).movedim(-1, 1)
        both = (given * wanted).sum((0, 2, 3))
        either = (given + wanted - given * wanted).sum((0, 2, 3))
        shares = both / either
        return 1 - (shares if self.classes is None else shares[self.classes]).mean()


class CrossEntropy:
    """Cross-entropy of the class probabilities with the data's labels or, of pixels, its masks.

    Parameters
    ----------
    label_smoothing
        Share of the probability that is spread evenly over all classes (Szegedy et al. 2016).
    classes
        Of which to take the probabilities, among these alone: indices, wnids or names of
        ImageNet's, or a file that lists them; by default all. Labels are still those of all.
    """

    stages: Sequence[str] = ()
    tasks: Sequence[Task] = OF_CLASSES

    def __init__(
        self,
        *,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        classes: Choice | None = None,
    ) -> None:
        self.label_smoothing = label_smoothing
        self._chosen = Chosen(classes, "loss 'cross_entropy'")

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Judge the scores on SR by ``batch.labels`` or ``batch.masks``: a scalar.

        Raises
        ------
        DataError
            If the batch has none, or a label that is none of the classes.
        """
        return F.cross_entropy(
            self._chosen.logits(answer),
            self._chosen.truth(batch, answer),
            ignore_index=VOID,
            label_smoothing=self.label_smoothing,
        )


class FeatureL1:
    """Mean absolute difference of feature maps, summed over stages by weight.

    Parameters
    ----------
    stages
        Weight of each stage of the teacher, for instance ``{layer3: 1.0}``; a pattern such as
        ``fpn.*`` gives each stage that it matches this weight.
    """

    tasks: Sequence[Task] = TASKS

    def __init__(self, *, stages: Mapping[str, PositiveFloat]) -> None:
        self.stages: Sequence[str] = _names(stages)
        self._weights = dict(stages)

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the feature maps on SR with those on HR: a scalar."""
        return weighted_distance(F.l1_loss, self._weights, answer.features, target.features)


class FeatureMSE:
    """Mean squared difference of feature maps, summed over stages by weight.

    Parameters
    ----------
    stages
        Weight of each stage of the teacher, for instance ``{layer3: 1.0}``; a pattern such as
        ``fpn.*`` gives each stage that it matches this weight.
    """

    tasks: Sequence[Task] = TASKS

    def __init__(self, *, stages: Mapping[str, PositiveFloat]) -> None:
        self.stages: Sequence[str] = _names(stages)
        self._weights = dict(stages)

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the feature maps on SR with those on HR: a scalar."""
        return weighted_distance(F.mse_loss, self._weights, answer.features, target.features)


def weighted_distance(
    distance: Callable[[Tensor, Tensor], Tensor],
    weights: Mapping[str, float],
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
) -> Tensor:
    """Sum the weighted distances of named feature maps: a scalar, computed in float32.

    Weights are by name, or by patterns of names.
    """
    terms = [
        weight * distance(given[name].float(), wanted[name].float())
        for pattern, weight in weights.items()
        for name in fnmatch.filter(given, pattern)
    ]
    return torch.stack(terms).sum()


def _names(stages: Mapping[str, float]) -> tuple[str, ...]:
    if not stages:
        raise ValueError("stages: empty; name at least one stage of the teacher and its weight")
    return tuple(stages)
