"""The results of an evaluation: numbers for each image and each model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from srkit.evaluation.calibration import Calibration
from srkit.evaluation.classification import Classification
from srkit.report._metric_info import LOWER, ORIGINAL, MetricInfo
from srkit.report.colour_scales import MAD

#: Relative difference up to which scores are equal: below it, rounding would rank them.
TIE = 1e-5


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The results of one model.

    Parameters
    ----------
    name
        Name of the model in the tables.
    values
        Values of each metric, ``(N,)`` float64, one an image; NaN for an image that cannot be
        measured, such as the shape of its sources if it has none.
    predictions
        ``(N,)`` int64, the class that the teacher predicts for each restored image; None without a
        teacher.
    seconds
        Time to restore the whole set, in seconds.
    calibration
        Errors beside the predicted standard deviations; None if the model predicts none.
    pooled
        Values of the whole set, for metrics of which these are not means over the images.
    """

    name: str
    values: dict[str, NDArray[np.float64]]
    predictions: NDArray[np.int64] | None
    seconds: float
    calibration: Calibration | None = None
    pooled: dict[str, float] = field(default_factory=dict)

    def measured(self, metric: str) -> NDArray[np.float64]:
        """Return the values of a metric on the images that could be measured: all but NaN."""
        values = self.values[metric]
        return values[~np.isnan(values)]

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the images that could be measured; NaN if there is none.

        The mean of a PSNR that is infinite for any image is infinite. For a pooled metric it is the
        value of the whole set.
        """
        if metric in self.pooled:
            return self.pooled[metric]
        values = self.measured(metric)
        return float(np.mean(values)) if len(values) else math.nan

    def median(self, metric: str) -> float:
        """Return the median over the images, which a single image does not decide.

        NaN if no image could be measured, and for a pooled metric.
        """
        values = self.measured(metric)
        return float(np.median(values)) if len(values) and metric not in self.pooled else math.nan

    def scatter(self, metric: str) -> float:
        """Return the sample standard deviation over the images.

        NaN if less than two images were measured, a value is infinite, or the metric is pooled.
        """
        values = self.measured(metric)
        if len(values) < 2 or not np.isfinite(values).all() or metric in self.pooled:
            return math.nan
        return float(np.std(values, ddof=1))

    def robust_scatter(self, metric: str) -> float:
        """Return 1.4826 times the median absolute deviation, which few outliers do not change.

        It estimates the standard deviation of a normal distribution; NaN as for :meth:`scatter`.
        """
        if math.isnan(self.scatter(metric)):
            return math.nan
        values = self.measured(metric)
        return float(MAD * np.median(np.abs(values - np.median(values))))

    def standard_error(self, metric: str) -> float:
        """Return the standard error of :meth:`mean`.

        NaN as for :meth:`scatter`, and for a pooled metric.
        """
        if metric in self.pooled:
            return math.nan
        return self.scatter(metric) / math.sqrt(max(len(self.measured(metric)), 1))

    def score(self, metric: MetricInfo) -> float:
        """Return the number by which models are ranked; NaN if no image could be measured.

        It is the mean; for a signed metric the root mean square, which includes bias and scatter.
        """
        if not metric.signed:
            return self.mean(metric.name)
        values = self.measured(metric.name)
        return float(np.sqrt(np.mean(values**2))) if len(values) else math.nan

    def robust_score(self, metric: MetricInfo) -> float:
        """Return :meth:`score` with medians in place of means, so that outliers do not decide.

        For a signed metric it is 1.4826 times the median of the absolute values; for a pooled
        metric the value of the whole set.
        """
        if metric.name in self.pooled:
            return self.score(metric)
        if not metric.signed:
            return self.median(metric.name)
        values = self.measured(metric.name)
        return float(MAD * np.median(np.abs(values))) if len(values) else math.nan


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of several models on one set of images.

    Parameters
    ----------
    title
        What was evaluated, for headings.
    names
        Names of the N images.
    labels
        ``(N,)`` int64, the true classes; None if there are none.
    label_source
        Where `labels`, masks or boxes come from: ``data set`` or ``predictions of the teacher for
        the originals``; empty if there are none.
    classes
        Class names by class index, or None.
    metrics
        The metrics.
    models
        The models in the order of the tables; the first is usually ``original``.
    notes
        Lines that the reader must see.
    classification
        The predictions of a trained classifier, if the run trained one.
    """

    title: str
    names: list[str]
    labels: NDArray[np.int64] | None
    label_source: str
    classes: list[str] | None
    metrics: list[MetricInfo]
    models: list[ModelResult]
    notes: list[str]
    classification: Classification | None = None

    def table(self) -> list[dict[str, str | float]]:
        """Return the means of each model.

        Returns
        -------
        list of dict
            For each model: ``model``, the mean of each metric by its name, its ``NAME/median`` and
            ``NAME/robust_scatter``, and ``seconds``. A signed metric also has ``NAME/scatter``, and
            one that could not be measured on every image ``NAME/measured``, the number of images.
        """
        return [
            {"model": model.name, **self._numbers(model), "seconds": model.seconds}
            for model in self.models
        ]

    def _numbers(self, model: ModelResult) -> dict[str, str | float]:
        numbers: dict[str, str | float] = {}
        for metric in self.metrics:
            name = metric.name
            numbers[name] = model.mean(name)
            numbers[f"{name}/median"] = model.median(name)
            if metric.signed:
                numbers[f"{name}/scatter"] = model.scatter(name)
            numbers[f"{name}/robust_scatter"] = model.robust_scatter(name)
            if self.incomplete(name):
                numbers[f"{name}/measured"] = len(model.measured(name))
        return numbers

    def incomplete(self, metric: str) -> bool:
        """Return whether a metric could not be measured on some image of some model."""
        return any(np.isnan(model.values[metric]).any() for model in self.models)

    def model(self, name: str) -> ModelResult | None:
        """Return the results of a model by its name; None if it was not evaluated."""
        return next((model for model in self.models if model.name == name), None)

    def calibrations(self) -> dict[str, Calibration]:
        """Return the calibration of each model that predicts standard deviations, by name."""
        return {
            model.name: model.calibration for model in self.models if model.calibration is not None
        }

    def class_name(self, index: int) -> str:
        """Return the name of a class; ``class 17`` if the data set has no names."""
        return f"class {index}" if self.classes is None else self.classes[index]

    def gap_closed(
        self, metric: MetricInfo, model: str, lower: str = LOWER, upper: str = ORIGINAL
    ) -> float:
        """Return the share of the gap between two references that a model closes.

        It is ``(model - lower) / (upper - lower)`` of the scores, as in the DarioNet report; below
        0 if the model is worse than `lower`.

        Parameters
        ----------
        metric
            The metric.
        model
            Name of the model.
        lower, upper
            Names of the references, 0 and 1 on the scale.

        Returns
        -------
        float
            NaN if a model was not evaluated, or the gap is zero, infinite or not measurable.
        """
        found = [self.model(name) for name in (model, lower, upper)]
        scores = [result.score(metric) for result in found if result is not None]
        if len(scores) < 3 or not np.isfinite(scores).all() or scores[2] == scores[1]:
            return math.nan
        return (scores[0] - scores[1]) / (scores[2] - scores[1])

    def best_models(self, metric: MetricInfo) -> set[str]:
        """Return the models of the best score, ties included (to `TIE`), without the original.

        Where the best by the mean is not among those by the median, the latter are returned: few
        images decide a mean.
        """
        by_mean, by_median = self.best_by_mean(metric), self.best_by_median(metric)
        return (by_mean & by_median) or by_median

    def best_by_mean(self, metric: MetricInfo) -> set[str]:
        """Return the models with the best :meth:`ModelResult.score`."""
        return self._best(metric, {model.name: model.score(metric) for model in self.models})

    def best_by_median(self, metric: MetricInfo) -> set[str]:
        """Return the models with the best :meth:`ModelResult.robust_score`."""
        return self._best(metric, {model.name: model.robust_score(metric) for model in self.models})

    def _best(self, metric: MetricInfo, scores: Mapping[str, float]) -> set[str]:
        scores = {n: s for n, s in scores.items() if n != ORIGINAL and not math.isnan(s)}
        if not scores:
            return set()
        best = (max if metric.higher_is_better else min)(scores.values())
        return {name for name, score in scores.items() if math.isclose(score, best, rel_tol=TIE)}
