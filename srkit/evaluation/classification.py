"""How well a classifier tells classes apart: confusion matrix, ROC curves, area under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MICRO, MACRO = "micro-average", "macro-average"


@dataclass(frozen=True, slots=True)
class Roc:
    """A receiver operating characteristic: what is found against what is falsely taken for it.

    Parameters
    ----------
    false_positive_rate, true_positive_rate
        ``(P,)`` in [0, 1], rising from 0 to 1: the corners of the curve.
    thresholds
        ``(P,)``, falling from infinity: an image of at least this score counts as found.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Floats

    @property
    def auc(self) -> float:
        """Area under the curve in [0, 1]: 0.5 is chance."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A line of the table of classes.

    Parameters
    ----------
    name
        Of the class, or of the average.
    images
        Images that it is about.
    accuracy
        Share of them that are classified right; NaN without any.
    auc
        Area under the ROC curve; NaN where there is no curve.
    """

    name: str
    images: int
    accuracy: float
    auc: float


@dataclass(frozen=True, slots=True)
class Classification:
    """What a classifier says of N labelled images.

    Parameters
    ----------
    labels
        ``(N,)``, the true classes, from 0 to K - 1.
    probabilities
        ``(N, K)``, each row sums to 1.
    classes
        The K classes' names by index.
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
        return confusion_matrix(self.labels, self.predictions, len(self.classes))

    def curves(self) -> dict[int, Roc]:
        """Trace the ROC of each class against all others, by class index.

        A class that no image or every image belongs to has none.
        """
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {
            k: roc_curve(self.labels == k, self.probabilities[:, k])
            for k, count in enumerate(counts)
            if 0 < count < len(self.labels)
        }

    def micro_average(self) -> Roc:
        """Trace one ROC that takes every pair of an image and a class for a decision."""
        positive = self.labels[:, None] == np.arange(len(self.classes))
        return roc_curve(positive.ravel(), self.probabilities.ravel())

    def table(self) -> list[ClassRow]:
        """List accuracy and AUC of each class, their micro-average and their macro-average.

        The micro-average weighs all images alike, the macro-average all classes that have some.
        """
        counts = self.confusion()
        images = counts.sum(1)
        accuracy = np.full(len(images), np.nan)
        np.divide(counts.diagonal(), images, out=accuracy, where=images > 0)
        areas = {k: curve.auc for k, curve in self.curves().items()}
        rows = [
            ClassRow(name, int(images[k]), float(accuracy[k]), areas.get(k, np.nan))
            for k, name in enumerate(self.classes)
        ]
        total = len(self.labels)
        right = float(counts.trace() / total)
        mean = float(np.mean(list(areas.values()))) if areas else np.nan
        rows.append(ClassRow(MICRO, total, right, self.micro_average().auc))
        rows.append(ClassRow(MACRO, total, float(np.nanmean(accuracy)), mean))
        return rows


def confusion_matrix(labels: Ints, predictions: Ints, classes: int) -> Ints:
    """Count images by true and predicted class.

    Parameters
    ----------
    labels, predictions
        ``(N,)`` class indices.
    classes
        K, how many classes there are.

    Returns
    -------
    array
        ``(K, K)``; the row is the true class, the column the predicted one.
    """
    counts = np.bincount(labels * classes + predictions, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


def roc_curve(positive: NDArray[np.bool_], scores: Floats) -> Roc:
    """Trace the receiver operating characteristic of scores (Fawcett 2006, algorithm 1).

    Parameters
    ----------
    positive
        ``(N,)``, whether an image is what is sought.
    scores
        ``(N,)``, higher for images that look like it. Equal scores are one step of the curve.

    Raises
    ------
    ValueError
        If all images are what is sought, or none is.
    """
    if positive.all() or not positive.any():
        raise ValueError("a ROC curve needs images that are what is sought and others")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(positive[order])[ends]
    false = 1 + ends - found
    # Points on a straight line between their neighbours say nothing.
    bends = (np.diff(found, 2) != 0) | (np.diff(false, 2) != 0)
    kept = np.concatenate([[True], bends, [True]])[: len(ends)]
    return Roc(
        false_positive_rate=np.append(0, false[kept] / false[-1]),
        true_positive_rate=np.append(0, found[kept] / found[-1]),
        thresholds=np.append(np.inf, scores[order][ends][kept]),
    )
