"""What an evaluation found: numbers for each image and each model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What a metric is.

    Parameters
    ----------
    name
        The name that recipes use.
    unit
        ``dB``, for instance; may be empty.
    higher_is_better
        Direction.
    protocol
        How it is measured: channel, crop, rounding, data range.
    """

    name: str
    unit: str
    higher_is_better: bool
    protocol: str


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The results of one model.

    Parameters
    ----------
    name
        What the tables call it.
    values
        Each metric's values, ``(N,)`` float64, one an image.
    predictions
        ``(N,)`` int64, the teacher's first answer on each restored image; None without a teacher.
    seconds
        Time to restore the whole set, in seconds.
    """

    name: str
    values: dict[str, NDArray[np.float64]]
    predictions: NDArray[np.int64] | None
    seconds: float


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
        Where `labels` come from: ``data set`` or ``the teacher's own answers on the originals``.
    classes
        Class names by class index, or None.
    metrics
        What was measured.
    models
        The models in the order of the tables; the first is usually ``original``.
    notes
        Lines that the reader must see.
    """

    title: str
    names: list[str]
    labels: NDArray[np.int64] | None
    label_source: str
    classes: list[str] | None
    metrics: list[MetricInfo]
    models: list[ModelResult]
    notes: list[str]

    def table(self) -> list[dict[str, str | float]]:
        """Average each metric over the images.

        Returns
        -------
        list of dict
            For each model: ``model``, the mean of each metric by its name, and ``seconds``. The
            mean of a PSNR that is infinite anywhere is infinite.
        """
        rows: list[dict[str, str | float]] = []
        for model in self.models:
            means = {m.name: float(np.mean(model.values[m.name])) for m in self.metrics}
            rows.append({"model": model.name, **means, "seconds": model.seconds})
        return rows

    def model(self, name: str) -> ModelResult | None:
        """Find a model's results by its name; None if it was not evaluated."""
        return next((model for model in self.models if model.name == name), None)

    def class_name(self, index: int) -> str:
        """Name a class; ``class 17`` where the data set has no names."""
        return f"class {index}" if self.classes is None else self.classes[index]
