"""The mean intersection over union of segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt
from torchmetrics.functional.classification import multiclass_confusion_matrix

from srkit.data import masks_of
from srkit.interfaces import VOID, Answer, Batch, Task

Floats = NDArray[np.float64]


class MeanIoU:
    """Mean intersection over union of the segmentation of SR with the masks (Everingham 2015).

    The pixels of the whole set are counted per class, then the classes are averaged, without those
    that occur neither in masks nor in answers. torchmetrics counts.

    Parameters
    ----------
    classes
        Indices of the classes that are averaged; by default all.
    """

    higher_is_better = True
    unit = ""
    stages: Sequence[str] = ()
    tasks: Sequence[Task] = ("segmentation",)

    def __init__(
        self, *, classes: Annotated[list[NonNegativeInt], Field(min_length=1)] | None = None
    ) -> None:
        self.classes = classes
        chosen = "all classes" if classes is None else f"classes {', '.join(map(str, classes))}"
        self.protocol = f"pixels of all images counted together, mean over {chosen}, masks"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> list[NDArray[np.int64]]:
        """Count the pixels of each image by true and predicted class: ``(classes, classes)`` each.

        Raises
        ------
        DataError
            If the batch has no masks, or masks with classes that the teacher does not have.
        ValueError
            If a class to be averaged is not one of the teacher's.
        """
        count = answer.logits.shape[1]
        masks = masks_of(batch, count, "metric 'miou'")
        if self.classes is not None and max(self.classes) >= count:
            raise ValueError(f"classes has {max(self.classes)}; the teacher has 0 to {count - 1}")
        return [
            multiclass_confusion_matrix(predicted, mask, count, ignore_index=VOID).cpu().numpy()
            for predicted, mask in zip(answer.logits.argmax(1), masks, strict=True)
        ]

    def pool(self, parts: Sequence[Any]) -> tuple[list[float], float]:
        """Return the mean IoU of each image and of the whole set."""
        return [self._mean(counts) for counts in parts], self._mean(np.sum(parts, axis=0))

    def _mean(self, counts: NDArray[np.int64]) -> float:
        both = counts.diagonal()
        either = counts.sum(0) + counts.sum(1) - both
        chosen = slice(None) if self.classes is None else self.classes
        present = either[chosen] > 0
        shares = both[chosen][present] / either[chosen][present]
        return float(shares.mean()) if present.any() else float("nan")
