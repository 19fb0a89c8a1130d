"""What teachers tell of images: classes, masks, boxes or embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import torch

from srkit.interfaces import Answer, Batch, Boxes, Task, Teacher, TeacherLoss, TeacherMetric

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
