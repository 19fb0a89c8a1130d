"""How well a classifier separates classes: confusion matrix, ROC curves and their areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MICRO, MACRO = "micro-average", "macro-average"
#: Columns of the table of classes.
COLUMNS = ("class", "images", "accuracy", "auc")


@dataclass(frozen=True, slots=True)
class Roc:
    """A receiver operating characteristic.

    Parameters
    ----------
    false_positive_rate, true_positive_rate
        ``(P,)``, ascending from 0 to 1: the corners of the curve.
    thresholds
        ``(P,)``, descending from infinity: images of at least this score are counted as positive.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Floats

    @property
    def auc(self) -> float:
        """Area under the curve in [0, 1]: 0.5 is chance."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))


@dataclass(frozen=True, slots=True)
class Classification:
    """The predictions of a classifier for N labelled images.

    Parameters
    ----------
    labels
        ``(N,)``, the true classes, from 0 to K - 1.
    probabilities
        ``(N, K)``, each row sums to 1.
    classes
        Names of the K classes by index.
    """

    labels: Ints
    probabilities: Floats
    classes: list[str]

    @property
    def predictions(self) -> Ints:
        """The most probable class of each image, ``(N,)``."""
        predictions: Ints = self.probabilities.argmax(1)
        return predictions

    def confusion(self) -> Ints:
        """Count the images by true class (row) and predicted class (column), ``(K, K)``."""
        # Imported here because it takes seconds.
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        found, true = torch.from_numpy(self.predictions), torch.from_numpy(self.labels)
        counts: Ints = multiclass_confusion_matrix(found, true, len(self.classes)).numpy()
        return counts

    def curves(self) -> dict[int, Roc]:
        """Compute the ROC of each class against all others, by class index.

        A class of no image or of every image has none.
        """
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {
            k: roc_curve(self.labels == k, self.probabilities[:, k])
            for k, count in enumerate(counts)
            if 0 < count < len(self.labels)
        }

    def micro_average(self) -> Roc:
        """Compute one ROC over all pairs of an image and a class, each a decision of its own."""
        positive = self.labels[:, None] == np.arange(len(self.classes))
        return roc_curve(positive.ravel(), self.probabilities.ravel())

    def table(self) -> list[dict[str, Any]]:
        """Return accuracy and AUC of each class, and their micro-average and macro-average.

        The micro-average weights all images equally, the macro-average all classes with images.

        Returns
        -------
        list of dict
            ``class``, the name of the class or average; ``images``, their number; ``accuracy``, the
            share that is classified correctly, NaN without images; ``auc``, the area under the ROC
            curve, NaN without a curve.
        """
        counts = self.confusion()
        images = counts.sum(1)
        accuracy = np.full(len(images), np.nan)
        np.divide(counts.diagonal(), images, out=accuracy, where=images > 0)
        areas = {k: curve.auc for k, curve in self.curves().items()}
        rows = [
            (name, int(images[k]), float(accuracy[k]), areas.get(k, np.nan))
            for k, name in enumerate(self.classes)
        ]
        total = len(self.labels)
        right = float(counts.trace() / total)
        mean = float(np.mean(list(areas.values()))) if areas else np.nan
        rows.append((MICRO, total, right, self.micro_average().auc))
        rows.append((MACRO, total, float(np.nanmean(accuracy)), mean))
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def roc_curve(positive: NDArray[np.bool_], scores: Floats) -> Roc:
    """Compute the receiver operating characteristic of scores (Fawcett 2006, algorithm 1).

    torchmetrics' ``binary_roc`` rounds the rates to float32 and returns a point for every score,
    which makes files of millions of lines.

    Parameters
    ----------
    positive
        ``(N,)``, whether an image is positive.
    scores
        ``(N,)``, higher for images that are rather positive. Equal scores are one step.

    Raises
    ------
    ValueError
        If all images are positive, or all negative.
    """
    if positive.all() or not positive.any():
        raise ValueError("a ROC curve needs positive and negative images")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(positive[order])[ends]
    false = 1 + ends - found
    # Points on a straight line between their neighbours are not needed.
    bends = (np.diff(found, 2) != 0) | (np.diff(false, 2) != 0)
    kept = np.concatenate([[True], bends, [True]])[: len(ends)]
    return Roc(
        false_positive_rate=np.append(0, false[kept] / false[-1]),
        true_positive_rate=np.append(0, found[kept] / found[-1]),
        thresholds=np.append(np.inf, scores[order][ends][kept]),
    )
