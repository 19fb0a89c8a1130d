"""Ground truth of a batch: labels, masks and boxes, checked against a teacher's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import VOID, Answer, Batch, Boxes, Task, Teacher, TeacherLoss, TeacherMetric

#: All tasks.
TASKS: tuple[Task, ...] = get_args(Task)
#: Tasks whose teachers can be trained, by the cross-entropy with labels or masks.
TRAINABLE: tuple[Task, ...] = ("classification", "segmentation")
#: Lowest score of a detected box that counts as ground truth: the usual threshold for drawing.
MIN_SCORE = 0.5


def labels_of(batch: Batch, classes: int, reader: str) -> Tensor:
    """Return the class indices of a batch, ``(N,)``.

    Parameters
    ----------
    batch
        The images.
    classes
        Number of the teacher's classes.
    reader
        What needs the labels, for the error.

    Raises
    ------
    DataError
        If there are no labels, or one is not a class of the teacher.
    """
    labels = batch.labels
    if labels is None:
        raise DataError(f"the {reader} needs class labels, but the data have none")
    # Checking labels on an accelerator would make the host wait for it at every step.
    if labels.is_cpu and not bool(((labels >= 0) & (labels < classes)).all()):
        rows = zip(batch.names, labels.tolist(), strict=True)
        name, label = next((n, k) for n, k in rows if not 0 <= k < classes)
        raise DataError(
            f"{name}: has label {label}; the {reader} expects 0 to {classes - 1}, the classes of "
            "the teacher"
        )
    return labels


def masks_of(batch: Batch, classes: int, reader: str) -> Tensor:
    """Return the class index of every HR pixel of a batch, ``(N, H, W)``, `VOID` if unknown.

    The parameters are those of :func:`labels_of`.

    Raises
    ------
    DataError
        If there are no masks, or one contains a value that is not a class of the teacher.
    """
    masks = batch.masks
    if masks is None:
        raise DataError(
            f"the {reader} needs masks, but the data have none; a metric can use the teacher's own "
            "answers on HR: set evaluation.labels to teacher"
        )
    if masks.is_cpu:
        wrong = (masks != VOID) & ((masks < 0) | (masks >= classes))
        if wrong.any():
            place = wrong.nonzero()[0].tolist()
            raise DataError(
                f"{batch.names[place[0]]}: the mask contains {int(masks[*place])}; the {reader} "
                f"expects 0 to {classes - 1}, the classes of the teacher; list values of unknown "
                "pixels in the data set's option 'unknown'"
            )
    return masks


def boxes_of(batch: Batch, reader: str) -> Sequence[Boxes]:
    """Return the boxes in each image of a batch.

    Raises
    ------
    DataError
        If there are no boxes.
    """
    if batch.boxes is None:
        raise DataError(
            f"the {reader} needs boxes, but the data have none; a metric can use the teacher's own "
            "answers on HR: set evaluation.labels to teacher"
        )
    return batch.boxes


def check_boxes(batch: Batch, classes: int, reader: str) -> None:
    """Check that the labels of boxes are classes of a detector.

    Parameters
    ----------
    batch
        With boxes or without.
    classes
        Number of the detector's classes, including the background, which is 0.
    reader
        What needs the boxes, for the error.

    Raises
    ------
    DataError
        If a label is not a class of the detector.
    """
    for name, boxes in zip(batch.names, batch.boxes or (), strict=False):
        wrong = boxes.labels[(boxes.labels < 1) | (boxes.labels >= classes)]
        if len(wrong):
            raise DataError(
                f"{name}: a box has label {int(wrong[0])}; the {reader} expects 1 to "
                f"{classes - 1}, the classes of the teacher"
            )


def truth_of(logits: Tensor, batch: Batch, reader: str) -> Tensor:
    """Return the ground truth of logits: labels of images, or masks for logits of pixels.

    Parameters
    ----------
    logits
        ``(N, classes)`` or ``(N, classes, H, W)``.
    batch, reader
        As for :func:`labels_of`.

    Raises
    ------
    DataError
        If the data have none, or a class is not one of the teacher's.
    """
    find = labels_of if logits.ndim == 2 else masks_of
    return find(batch, logits.shape[1], reader)


def task_of(teacher: Teacher) -> Task:
    """Return the task of a teacher, by default classification."""
    task: Task = getattr(teacher, "task", "classification")
    return task


def tasks_of(reader: TeacherLoss | TeacherMetric) -> Sequence[Task]:
    """Return the tasks whose answers a loss or metric uses, by default classification."""
    tasks: Sequence[Task] = getattr(reader, "tasks", ("classification",))
    return tasks


def take_as_truth(batch: Batch, answer: Answer, task: Task) -> Batch:
    """Return a batch with a teacher's answer on HR as ground truth; an embedding changes nothing.

    Parameters
    ----------
    batch
        The images.
    answer
        The teacher's answer on ``batch.hr``.
    task
        The teacher's task.
    """
    if task == "classification":
        return replace(batch, labels=answer.logits.argmax(1))
    if task == "segmentation":
        return replace(batch, masks=answer.logits.argmax(1))
    if task == "detection":
        assert answer.find is not None
        return replace(batch, boxes=[_confident(found) for found in answer.find()])
    return batch


def _confident(found: Boxes) -> Boxes:
    assert found.scores is not None
    kept = torch.nonzero(found.scores >= MIN_SCORE).flatten()
    return Boxes(found.corners[kept], found.labels[kept])
