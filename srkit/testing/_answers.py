"""Artificial outputs of teachers of every task, with which losses and metrics are checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from srkit.interfaces import Answer, Batch, Boxes, Task

#: Number of classes, and of components of an embedding.
CLASSES = 10
#: Corners of the boxes that the artificial detector always finds.
CORNERS = torch.tensor([[2.0, 3.0, 9.0, 12.0], [10.0, 6.0, 15.0, 15.0]])
#: Shape of a feature map.
FEATURES = (4, 4, 4)


def true_boxes() -> list[Boxes]:
    """Return the true boxes in two images."""
    return [Boxes(CORNERS, torch.tensor(labels)) for labels in ([1, 4], [3, 8])]


def perfect_answer(task: Task, stages: Sequence[str], batch: Batch) -> Tensor:
    """Return artificial outputs on HR, ``(N, K)``, that agree with the truth."""
    length = math.prod(_shape(task, batch))
    pixels = batch.hr.flatten(1)
    scores = pixels.repeat(1, -(-length // pixels.shape[1]))[:, :length]
    if task != "embedding":
        scores = scores + 5 * _truth(task, batch).flatten(1)
    features = batch.hr[:, :1, :8, :8].flatten(1).repeat(1, len(stages))
    return torch.cat([scores, features], 1)


def to_answer(flat: Tensor, task: Task, stages: Sequence[str], batch: Batch) -> Answer:
    """Convert a vector for each image to an answer; a pattern of stages is one stage."""
    shape, side = _shape(task, batch), math.prod(FEATURES)
    scores, *features = torch.split(flat, [math.prod(shape), *[side] * len(stages)], 1)
    names = [stage.replace("*", "first") for stage in stages]
    maps = {name: f.view(-1, *FEATURES) for name, f in zip(names, features, strict=True)}
    logits = scores.float().reshape(-1, *shape)
    if task != "detection":
        return Answer(logits, maps)
    return Answer(logits, maps, find=lambda: _find(logits))


def _shape(task: Task, batch: Batch) -> tuple[int, ...]:
    """Return the shape of the logits of an image."""
    if task == "segmentation":
        return (CLASSES, *batch.hr.shape[-2:])
    return (len(CORNERS), CLASSES) if task == "detection" else (CLASSES,)


def _truth(task: Task, batch: Batch) -> Tensor:
    """Return the truth as scores: 1 for the true classes, 0 for all others."""
    if task == "segmentation":
        assert batch.masks is not None
        return one_hot(batch.masks, CLASSES).movedim(-1, 1)
    if task == "detection":
        assert batch.boxes is not None
        return one_hot(torch.stack([boxes.labels for boxes in batch.boxes]), CLASSES)
    assert batch.labels is not None
    return one_hot(batch.labels, CLASSES)


def _find(logits: Tensor) -> list[Boxes]:
    best = logits.detach().softmax(2).max(2)
    return [Boxes(CORNERS, k, s) for k, s in zip(best.indices, best.values, strict=True)]
