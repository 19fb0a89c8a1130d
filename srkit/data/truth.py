"""The truth about a batch, checked against what a teacher tells: labels, masks, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import VOID, Answer, Batch, Boxes, Task, Teacher, TeacherLoss, TeacherMetric


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


def masks_of(batch: Batch, classes: int, reader: str) -> Tensor:
    """Give the class index of every HR pixel of a batch, ``(N, H, W)``, `VOID` where unknown.

    The parameters are those of :func:`labels_of`.

    Raises
    ------
    DataError
        If there are no masks, or one holds what is no class of the teacher's.
    """
    masks = batch.masks
    if masks is None:
        raise DataError(
            f"the {reader} needs masks, and the data have none; a metric can go by the teacher's "
            "own answers on HR: evaluation.labels: teacher"
        )
    if masks.is_cpu:
        wrong = (masks != VOID) & ((masks < 0) | (masks >= classes))
        if wrong.any():
            place = wrong.nonzero()[0].tolist()
            raise DataError(
                f"{batch.names[place[0]]}: its mask holds {int(masks[*place])}; the {reader} "
                f"expects 0 to {classes - 1}, the classes of the teacher; pixels of no class are "
                "for the data set's option 'unknown'"
            )
    return masks


def boxes_of(batch: Batch, reader: str) -> Sequence[Boxes]:
    """Give the boxes in each image of a batch.

    Raises
    ------
    DataError
        If there are none.
    """
    if batch.boxes is None:
        raise DataError(
            f"the {reader} needs boxes, and the data have none; a metric can go by the teacher's "
            "own answers on HR: evaluation.labels: teacher"
        )
    return batch.boxes


def check_boxes(batch: Batch, classes: int, reader: str) -> None:
    """Refuse boxes around what a detector does not tell.

    Parameters
    ----------
    batch
        With boxes or without.
    classes
        How many classes the detector has, with the background, which is 0.
    reader
        Who needs the boxes, for the error.

    Raises
    ------
    DataError
        If one is labelled so.
    """
    for name, boxes in zip(batch.names, batch.boxes or (), strict=False):
        wrong = boxes.labels[(boxes.labels < 1) | (boxes.labels >= classes)]
        if len(wrong):
            raise DataError(
                f"{name}: a box has the label {int(wrong[0])}; the {reader} expects 1 to "
                f"{classes - 1}, the classes of the teacher"
            )


def truth_of(logits: Tensor, batch: Batch, reader: str) -> Tensor:
    """Give what scores are judged by: labels for those of images, masks for those of pixels.

    Parameters
    ----------
    logits
        ``(N, classes)`` or ``(N, classes, H, W)``.
    batch, reader
        As for :func:`labels_of`.

    Raises
    ------
    DataError
        If the data have none, or such as the teacher does not tell.
    """
    find = labels_of if logits.ndim == 2 else masks_of
    return find(batch, logits.shape[1], reader)


#: Every task.
TASKS: tuple[Task, ...] = get_args(Task)


#: Those whose teachers a run can train, by the cross-entropy with labels or masks.
TRAINABLE: tuple[Task, ...] = ("classification", "segmentation")


#: Of the boxes that a detector finds in HR, those of at least this score count as the truth where
#: there is no other: half sure, the threshold at which boxes are usually drawn.
SURE = 0.5


def task_of(teacher: Teacher) -> Task:
    """Tell the task of a teacher; one that says nothing classifies."""
    task: Task = getattr(teacher, "task", "classification")
    return task


def tasks_of(reader: TeacherLoss | TeacherMetric) -> Sequence[Task]:
    """List the tasks whose answers a loss or metric reads; one that says nothing reads classes."""
    tasks: Sequence[Task] = getattr(reader, "tasks", ("classification",))
    return tasks


def take_as_truth(batch: Batch, answer: Answer, task: Task) -> Batch:
    """Give a batch whose truth is a teacher's answer on HR; an embedding is none.

    Parameters
    ----------
    batch
        The images.
    answer
        The teacher's, on ``batch.hr``.
    task
        The teacher's.
    """
    if task == "classification":
        return replace(batch, labels=answer.logits.argmax(1))
    if task == "segmentation":
        return replace(batch, masks=answer.logits.argmax(1))
    if task == "detection":
        assert answer.find is not None
        return replace(batch, boxes=[_sure(found) for found in answer.find()])
    return batch


def _sure(found: Boxes) -> Boxes:
    assert found.scores is not None
    kept = torch.nonzero(found.scores >= SURE).flatten()
    return Boxes(found.corners[kept], found.labels[kept])
