"""Answers restricted to some of a teacher's classes: scores, labels and probabilities."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from srkit.data import Choice, choose_classes, truth_of
from srkit.errors import DataError
from srkit.interfaces import VOID, Answer, Batch
from srkit_teachers.imagenet import imagenet_names

#: Number of classes that have WordNet IDs and names.
NAMED = 1000


class Chosen:
    """The classes that a loss or metric uses: all classes of a teacher, or a subset.

    Parameters
    ----------
    classes
        The subset, or None for all. WordNet IDs and names are those of ImageNet's 1000 classes.
    reader
        The loss or metric, for error messages.

    Raises
    ------
    ValueError
        If the subset is invalid, see :func:`srkit.data.classes.choose_classes`.
    """

    def __init__(self, classes: Choice | None, reader: str) -> None:
        self._reader = reader
        self._indices: list[int] = []
        self._named = False
        if classes is None:
            return
        self._named = isinstance(classes, Path) or any(isinstance(k, str) for k in classes)
        if self._named or isinstance(classes, Path):
            self._indices = choose_classes(classes, imagenet_names())
        else:
            most = max((int(k) for k in classes), default=0)
            self._indices = choose_classes(classes, most + 1)

    def __str__(self) -> str:
        return f", among {len(self._indices)} classes" if self._indices else ""

    def logits(self, answer: Answer) -> Tensor:
        """Return the scores of the chosen classes in float32, ``(N, K)`` or ``(N, K, H, W)``.

        Raises
        ------
        DataError
            If the teacher does not have these classes.
        """
        logits = answer.logits.float()
        if not self._indices:
            return logits
        axis = 2 if logits.ndim == 3 else 1  # a detector has scores per anchor
        count = logits.shape[axis]
        if self._named and count != NAMED:
            raise DataError(
                f"the {self._reader}: its classes are chosen by the names of ImageNet's {NAMED}, "
                f"but the teacher has {count}; choose by index"
            )
        if self._indices[-1] >= count:
            raise DataError(
                f"the {self._reader}: the teacher has {count} classes, no class {self._indices[-1]}"
            )
        return logits.index_select(axis, torch.tensor(self._indices, device=logits.device))

    def truth(self, batch: Batch, answer: Answer) -> Tensor:
        """Return the index of each label or mask pixel among the chosen classes, ``(N, ...)``.

        Pixels of other classes count as unknown.

        Raises
        ------
        DataError
            If there are no labels or masks, or a label is not one of the chosen classes.
        """
        count = answer.logits.shape[1]
        labels = truth_of(answer.logits, batch, self._reader)
        if not self._indices:
            return labels
        places = torch.full((count,), VOID, device=labels.device)
        places[self._indices] = torch.arange(len(self._indices), device=labels.device)
        if labels.ndim > 1:
            return torch.where(labels == VOID, VOID, places[labels.clamp(min=0)])
        found = places[labels]
        # Reading labels on an accelerator would make the host wait for it at every step.
        if found.is_cpu and bool((found < 0).any()):
            name, label = next(
                (name, int(label))
                for name, label, place in zip(batch.names, labels, found, strict=True)
                if place < 0
            )
            raise DataError(
                f"{name}: its label {label} is not one of the {len(self._indices)} classes of the "
                f"{self._reader}; remove such images or choose more classes"
            )
        return found
