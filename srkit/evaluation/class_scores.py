"""Accuracy and F1 of each class, as a teacher predicts it from restored images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srkit.evaluation.results import Evaluation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of each of the K classes that the labels contain.

    Parameters
    ----------
    classes
        ``(K,)`` class indices, ascending.
    names
        Their names.
    support
        ``(K,)`` images of each class.
    accuracy
        Share of the images of a class that are predicted as it, ``(K,)`` in [0, 1], by model.
    f1
        F1 score of the class against all others over the whole set, ``(K,)`` in [0, 1], by model.
    """

    classes: Ints
    names: list[str]
    support: Ints
    accuracy: dict[str, Floats]
    f1: dict[str, Floats]


def class_scores(evaluation: Evaluation) -> ClassScores | None:
    """Compute the scores of each class that occurs, for each model with predictions.

    Returns
    -------
    ClassScores or None
        None without labels or predictions.
    """
    predictions = {
        model.name: model.predictions
        for model in evaluation.models
        if model.predictions is not None
    }
    labels = evaluation.labels
    if labels is None or not predictions:
        return None
    classes, support = np.unique(labels, return_counts=True)
    accuracy, f1 = {}, {}
    for name, predicted in predictions.items():
        size = 1 + max(int(labels.max()), int(predicted.max()))
        right = np.bincount(labels[labels == predicted], minlength=size)[classes]
        answered = np.bincount(predicted, minlength=size)[classes]
        accuracy[name] = right / support
        f1[name] = 2 * right / (support + answered)
    names = [evaluation.class_name(int(index)) for index in classes]
    return ClassScores(classes, names, support.astype(np.int64), accuracy, f1)
