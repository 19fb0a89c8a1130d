"""What follows from an evaluation: standard errors, gaps closed, scores for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report.metric_info import LOWER, ORIGINAL, MetricInfo

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def standard_error(values: Floats) -> float | None:
    """Estimate the standard error of a mean.

    Parameters
    ----------
    values
        ``(N,)``, in the metric's own unit; NaN, an image that could not be measured, is skipped.

    Returns
    -------
    float or None
        In the same unit; None where it is undefined: a single value, or an infinite one.
    """
    values = values[~np.isnan(values)]
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def error_of_mean(model: ModelResult, metric: str) -> float | None:
    """Estimate the standard error of what :meth:`ModelResult.mean` gives.

    None where it is undefined, and where the number of a set is no mean over its images.
    """
    return None if metric in model.pooled else standard_error(model.values[metric])


def gap_closed(
    evaluation: Evaluation, metric: str, model: str, lower: str = LOWER, upper: str = ORIGINAL
) -> float | None:
    """Measure how far a model comes from one reference to another, as the DarioNet report does.

    Parameters
    ----------
    evaluation
        The results.
    metric
        Name of the metric.
    model
        Name of the model.
    lower, upper
        The models that stand for 0 and 1.

    Returns
    -------
    float or None
        ``(model - lower) / (upper - lower)`` of the means, of a signed metric the root mean
        squares; below 0 if the model is worse than `lower`; None where a model is absent, or the
        gap is zero, infinite or not measurable.
    """
    info = next(info for info in evaluation.metrics if info.name == metric)
    found = [evaluation.model(name) for name in (model, lower, upper)]
    means = [standing(result, info) for result in found if result is not None]
    if len(means) < 3 or not np.isfinite(means).all() or means[2] == means[1]:
        return None
    return float((means[0] - means[1]) / (means[2] - means[1]))


def standing(model: ModelResult, metric: MetricInfo) -> float:
    """Give the number by which models are ranked; NaN where no image could be measured.

    It is the mean; of a signed metric the root mean square, in which bias and scatter both count.
    """
    if not metric.signed:
        return model.mean(metric.name)
    values = model.measured(metric.name)
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan


def best_models(evaluation: Evaluation, metric: MetricInfo) -> set[str]:
    """Name the best models by their standing, ties included; the original does not compete."""
    ranked = {
        model.name: standing(model, metric) for model in evaluation.models if model.name != ORIGINAL
    }
    means = {name: value for name, value in ranked.items() if not np.isnan(value)}
    if not means:
        return set()
    best = max(means.values()) if metric.higher_is_better else min(means.values())
    return {name for name, mean in means.items() if mean == best}


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores for each of the K classes that the labels contain.

    Parameters
    ----------
    classes
        ``(K,)`` class indices, rising.
    names
        Their names.
    support
        ``(K,)`` images of each class.
    accuracy
        Share of a class's images that are classified as it, ``(K,)`` in [0, 1], by model.
    f1
        F1 score of the class against all others over the whole set, ``(K,)`` in [0, 1], by model.
    """

    classes: Ints
    names: list[str]
    support: Ints
    accuracy: dict[str, Floats]
    f1: dict[str, Floats]


def class_scores(evaluation: Evaluation) -> ClassScores | None:
    """Score each class that occurs, for each model with predictions.

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
