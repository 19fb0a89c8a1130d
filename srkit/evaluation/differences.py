"""Paired differences of the last model, usually the trained one, from the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report._metric_info import ORIGINAL, MetricInfo

#: Standard errors beyond which a difference is unlikely to be due to the choice of the images.
SIGNIFICANT = 2.0


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of a metric between two models, measured image by image.

    The difficulty of an image affects both models and cancels out, so that the error is smaller
    than the standard errors of the two means suggest.

    Parameters
    ----------
    mean
        Mean difference; of a signed metric, of the absolute values.
    standard_error
        Of `mean`, for independent images.
    better
        Whether the first model is better by more than two standard errors.
    """

    mean: float
    standard_error: float
    better: bool


def difference(metric: MetricInfo, model: ModelResult, other: ModelResult) -> Difference | None:
    """Compare two models on the images on which both could be measured.

    Returns
    -------
    Difference or None
        None for a pooled metric, fewer than two images, or infinite values.
    """
    values = model.values[metric.name], other.values[metric.name]
    first, second = map(np.abs, values) if metric.signed else values
    differences = (first - second)[~np.isnan(first - second)]
    pooled = metric.name in model.pooled or metric.name in other.pooled
    if pooled or len(differences) < 2 or not np.isfinite(differences).all():
        return None
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    gain = mean if metric.higher_is_better and not metric.signed else -mean
    return Difference(mean, error, gain > SIGNIFICANT * error)


def differences(evaluation: Evaluation) -> dict[str, list[Difference | None]]:
    """Compare the last model with each other one, for each metric, by the name of the other one.

    The originals and models for which nothing can be compared are left out.
    """
    *others, model = evaluation.models
    found = {
        other.name: [difference(metric, model, other) for metric in evaluation.metrics]
        for other in others
        if other.name != ORIGINAL
    }
    return {name: row for name, row in found.items() if any(row)}
