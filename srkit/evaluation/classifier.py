"""Run the classifier that a run trained on every image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

from srkit.assembly.device import autocast
from srkit.data.truth import labels_of, task_of
from srkit.evaluation.classification import Classification
from srkit.evaluation.evaluator import Evaluator
from srkit.interfaces.view import View


def classify(evaluator: Evaluator) -> Classification | None:
    """Classify the images of an evaluator, if its recipe trains a classifier and no generator.

    The network is in evaluation mode, and its input is that of the training: HR, stretched.

    Returns
    -------
    Classification or None
        None if the recipe trains a generator or no classifier, or the first image has no label.

    Raises
    ------
    DataError
        If a label is missing, or not among the classifier's classes.
    """
    assembly, process = evaluator.assembly, evaluator.process
    if assembly.generator is not None or evaluator.dataset[0].label is None:
        return None
    name = next(name for name, spec in assembly.recipe.teachers.items() if spec.trainable)
    teacher: Any = assembly.teachers[name]
    if task_of(teacher) != "classification":
        return None
    teacher.eval()
    share = range(process.process_index, len(evaluator.dataset), process.num_processes)
    rows: list[tuple[int, list[float]]] = []
    with torch.no_grad():
        for batch in evaluator.batches(share):
            labels = labels_of(batch, teacher.classes, f"classifier '{name}'")
            with autocast(assembly, batch.hr.device):
                answer = teacher(View.of(batch, assembly.stretch).stretched.hr)
            probabilities = answer.logits.cpu().double().softmax(1)
            rows += zip(labels.tolist(), probabilities.tolist(), strict=True)
    if process.num_processes > 1:
        rows = gather_object(rows)
    # The data set may have names of fewer classes.
    names = list(evaluator.dataset.classes or teacher.class_names or [])[: teacher.classes]
    names += [f"class {k}" for k in range(len(names), teacher.classes)]
    truth, found = zip(*rows, strict=True)
    return Classification(np.array(truth), np.array(found), names)
