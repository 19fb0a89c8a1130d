"""What an evaluation found: numbers for each image and each model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from srkit.evaluation.calibration import Calibration
from srkit.evaluation.classification import Classification
from srkit.report.metric_info import MetricInfo


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The results of one model.

    Parameters
    ----------
    name
        What the tables call it.
    values
        Each metric's values, ``(N,)`` float64, one an image; NaN where an image cannot be measured,
        such as the shape of its sources where it has none.
    predictions
        ``(N,)`` int64, the teacher's first answer on each restored image; None without a teacher.
    seconds
        Time to restore the whole set, in seconds.
    calibration
        How well its standard deviations tell its errors; None where it gives none.
    pooled
        The numbers of the whole set, of metrics for which they are no means over the images.
    """

    name: str
    values: dict[str, NDArray[np.float64]]
    predictions: NDArray[np.int64] | None
    seconds: float
    calibration: Calibration | None = None
    pooled: dict[str, float] = field(default_factory=dict)

    def measured(self, metric: str) -> NDArray[np.float64]:
        """Give a metric's values on the images that could be measured: all but NaN."""
        values = self.values[metric]
        return values[~np.isnan(values)]

    def mean(self, metric: str) -> float:
        """Average a metric over the images that could be measured; NaN if there is none.

        The mean of a PSNR that is infinite anywhere is infinite. Of a pooled metric it is the
        number of the whole set.
        """
        if metric in self.pooled:
            return self.pooled[metric]
        values = self.measured(metric)
        return float(np.mean(values)) if len(values) else math.nan

    def scatter(self, metric: str) -> float:
        """Give the sample standard deviation over the images; NaN for less than two."""
        values = self.measured(metric)
        steady = len(values) > 1 and np.isfinite(values).all()
        return float(np.std(values, ddof=1)) if steady else math.nan

    def robust_scatter(self, metric: str) -> float:
        """Give 1.4826 times the median absolute deviation, which few outliers do not change.

        It is the standard deviation of a normal distribution; NaN for less than two images.
        """
        values = self.measured(metric)
        if len(values) < 2 or not np.isfinite(values).all():
            return math.nan
        return float(1.4826 * np.median(np.abs(values - np.median(values))))


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
        ``(N,)`` int64, the true classes; None where there are none.
    label_source
        Where `labels`, masks or boxes come from: ``data set`` or ``the teacher's own answers on
        the originals``; empty where there are none.
    classes
        Class names by class index, or None.
    metrics
        What was measured.
    models
        The models in the order of the tables; the first is usually ``original``.
    notes
        Lines that the reader must see.
    classification
        What a trained classifier says of the images, where that is what the run is about.
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
        """Average each metric over the images that could be measured.

        Returns
        -------
        list of dict
            For each model: ``model``, the mean of each metric by its name, and ``seconds``. A
            signed metric has ``NAME/scatter`` and ``NAME/robust_scatter`` besides, and one that
            could not be measured everywhere ``NAME/measured``, the number of images.
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
            if metric.signed:
                numbers[f"{name}/scatter"] = model.scatter(name)
                numbers[f"{name}/robust_scatter"] = model.robust_scatter(name)
            if self.incomplete(name):
                numbers[f"{name}/measured"] = len(model.measured(name))
        return numbers

    def incomplete(self, metric: str) -> bool:
        """Tell whether a metric could not be measured on some image of some model."""
        return any(np.isnan(model.values[metric]).any() for model in self.models)

    def model(self, name: str) -> ModelResult | None:
        """Find a model's results by its name; None if it was not evaluated."""
        return next((model for model in self.models if model.name == name), None)

    def calibrations(self) -> dict[str, Calibration]:
        """How well standard deviations tell errors, by the names of the models that give any."""
        return {
            model.name: model.calibration for model in self.models if model.calibration is not None
        }

    def class_name(self, index: int) -> str:
        """Name a class; ``class 17`` where the data set has no names."""
        return f"class {index}" if self.classes is None else self.classes[index]
