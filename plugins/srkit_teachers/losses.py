"""Losses on a teacher's answers, computed in float32 at any precision of the networks."""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
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

#: Tasks with scores of mutually exclusive classes.
OF_CLASSES: tuple[Task, ...] = ("classification", "segmentation")


class LogitMSE:
    """Mean squared difference of the scores: distillation with scores, as DarioNet does.

    The scores before the softmax, of images, pixels (segmentation) or anchors (detection); for an
    embedding, its components. The mean is over all of them.

    Parameters
    ----------
    classes
        Compare only the scores of these classes: indices, WordNet IDs or names of ImageNet, or a
        file that lists them; by default all.
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

    T^2 KL(softmax(target / T) || softmax(answer / T)), averaged over images, for segmentation over
    all pixels (Liu et al. 2019, "Structured knowledge distillation for semantic segmentation",
    equation 1). The factor keeps the size of the gradient independent of T.

    Parameters
    ----------
    temperature
        Temperature T, by which the scores are divided.
    classes
        Compute the probabilities among these classes only: indices, WordNet IDs or names of
        ImageNet, or a file that lists them; by default all.
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
    """One minus the intersection over union of the segmentations of SR and HR.

    Rahman & Wang 2016 ("Optimizing intersection-over-union in deep neural networks"), over all
    pixels of the batch, with the teacher's best class on HR and its probabilities on SR. If SR
    leaves the class uncertain, `logit_kl` is minimised by probabilities that assign hardly any
    pixel to a rare class; this loss is not.

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
            If a class to be averaged is not one of the teacher's.
        """
        given = answer.logits.float().softmax(1)
        count = given.shape[1]
        if self.classes is not None and max(self.classes) >= count:
            raise DataError(
                f"the loss 'soft_iou': the teacher has {count} classes, no class "
                f"{max(self.classes)}"
            )
        wanted = F.one_hot(target.logits.argmax(1), count).movedim(-1, 1)
        both = (given * wanted).sum((0, 2, 3))
        either = (given + wanted - given * wanted).sum((0, 2, 3))
        shares = both / either
        return 1 - (shares if self.classes is None else shares[self.classes]).mean()


class CrossEntropy:
    """Cross-entropy of the class probabilities with the labels or, per pixel, masks of the data.

    Parameters
    ----------
    label_smoothing
        Probability mass that is spread evenly over all classes (Szegedy et al. 2016).
    classes
        Compute the probabilities among these classes only: indices, WordNet IDs or names of
        ImageNet, or a file that lists them; by default all. Labels still refer to all classes.
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
        """Compare the scores on SR with ``batch.labels`` or ``batch.masks``: a scalar.

        Raises
        ------
        DataError
            If the batch has neither, or a label is not one of the classes.
        """
        return F.cross_entropy(
            self._chosen.logits(answer),
            self._chosen.truth(batch, answer),
            ignore_index=VOID,
            label_smoothing=self.label_smoothing,
        )


class _FeatureDistance(ABC):
    """A distance of feature maps, summed over stages by weight."""

    tasks: Sequence[Task] = TASKS

    def __init__(self, *, stages: Mapping[str, PositiveFloat]) -> None:
        self.stages: Sequence[str] = _names(stages)
        self._weights = dict(stages)

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the feature maps on SR with those on HR: a scalar."""
        return weighted_distance(self._distance, self._weights, answer.features, target.features)

    @staticmethod
    @abstractmethod
    def _distance(given: Tensor, wanted: Tensor) -> Tensor:
        """Return the distance of two feature maps: a scalar."""


class FeatureL1(_FeatureDistance):
    """Mean absolute difference of feature maps, summed over stages by weight.

    Parameters
    ----------
    stages
        Weight of each stage of the teacher, for instance ``{layer3: 1.0}``; a pattern such as
        ``fpn.*`` gives this weight to each stage that it matches.
    """

    @staticmethod
    def _distance(given: Tensor, wanted: Tensor) -> Tensor:
        return F.l1_loss(given, wanted)


class FeatureMSE(_FeatureDistance):
    """Mean squared difference of feature maps, summed over stages by weight.

    Parameters
    ----------
    stages
        Weight of each stage of the teacher, for instance ``{layer3: 1.0}``; a pattern such as
        ``fpn.*`` gives this weight to each stage that it matches.
    """

    @staticmethod
    def _distance(given: Tensor, wanted: Tensor) -> Tensor:
        return F.mse_loss(given, wanted)


def weighted_distance(
    distance: Callable[[Tensor, Tensor], Tensor],
    weights: Mapping[str, float],
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
) -> Tensor:
    """Sum the weighted distances of named feature maps: a scalar, computed in float32.

    The keys of the weights are names or patterns of names.
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
