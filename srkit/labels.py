"""The labels of a batch, checked against a teacher's classes."""

from __future__ import annotations

from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Batch


def labels_of(batch: Batch, classes: int, reader: str) -> Tensor:
    """Give the class indices of a batch, ``(N,)``.

    Parameters
    ----------
    batch
        The images.
    classes
        How many classes the teacher tells.
    reader
        Who needs the labels, for the error.

    Raises
    ------
    DataError
        If there are no labels, or one is outside the teacher's classes.
    """
    labels = batch.labels
    if labels is None:
        raise DataError(f"the {reader} needs class labels, and the data have none")
    # To look at labels on an accelerator would make the host wait for it at every step.
    if labels.is_cpu and not bool(((labels >= 0) & (labels < classes)).all()):
        rows = zip(batch.names, labels.tolist(), strict=True)
        name, label = next((n, k) for n, k in rows if not 0 <= k < classes)
        raise DataError(
            f"{name}: its label is {label}; the {reader} expects 0 to {classes - 1}, the classes "
            "of the teacher"
        )
    return labels
