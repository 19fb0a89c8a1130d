"""Samples and batches; labels, masks and boxes."""

from srkit.data.classes import Choice, choose_classes
from srkit.data.truth import TASKS, boxes_of, masks_of, truth_of

__all__ = [
    "TASKS",
    "Choice",
    "boxes_of",
    "choose_classes",
    "masks_of",
    "truth_of",
]
