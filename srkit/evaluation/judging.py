"""Ask the classifier that a run trained about every image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

from srkit.assembly.device import autocast
from srkit.data.truth import labels_of, task_of
from srkit.evaluation.classification import Classification
from srkit.evaluation.examiner import Examiner
from srkit.interfaces.view import View


def judge(examiner: Examiner) -> Classification | None:
    """Classify the data set of an examiner whose recipe trains a classifier and no generator.

    The network, in evaluation mode, sees what it sees in training: HR, stretched.

    Returns
    -------
    Classification or None
        None where the recipe trains a generator or no classifier, or the first image has no label.

    Raises
    ------
    DataError
        If a label is missing, or outside the classifier's classes.
    """
    assembly, process = examiner.assembly, examiner.process
    if assembly.generator is not None or examiner.dataset[0].label is None:
        return None
    name = next(name for name, spec in assembly.recipe.teachers.items() if spec.trainable)
    teacher: Any = assembly.teachers[name]
    if task_of(teacher) != "classification":
        return None
    teacher.eval()
    share = range(process.process_index, len(examiner.dataset), process.num_processes)
    rows: list[tuple[int, list[float]]] = []
    with torch.no_grad():
        for batch in examiner.batches(share):
            labels = labels_of(batch, teacher.classes, f"classifier '{name}'")
            with autocast(assembly, batch.hr.device):
                answer = teacher(View.of(batch, assembly.stretch).seen.hr)
            probabilities = answer.logits.double().softmax(1)
            rows += zip(labels.tolist(), probabilities.tolist(), strict=True)
    if process.num_processes > 1:
        rows = gather_object(rows)
    return Classification(
        labels=np.array([label for label, _ in rows]),
        probabilities=np.array([probabilities for _, probabilities in rows]),
        classes=_names(examiner, teacher),
    )


def _names(examiner: Examiner, teacher: Any) -> list[str]:
    """Name the classifier's classes, of which the data set may have fewer."""
    given = list(examiner.dataset.classes or teacher.class_names or [])[: teacher.classes]
    return given + [f"class {k}" for k in range(len(given), teacher.classes)]
