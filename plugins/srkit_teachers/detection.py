"""The loss and the metric for detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.detection import MeanAveragePrecision as Counted

from srkit.data import boxes_of
from srkit.errors import PluginError
from srkit.interfaces import Answer, Batch, Boxes, Task
from srkit_teachers.detectors.regions import RegionAnswer


class DetectionMSE:
    """Mean squared differences of a detector's feature pyramid and of its head's outputs.

    The levels of the pyramid have equal weights, as have the outputs of the head: hints and
    outputs of Chen et al. 2017 ("Learning efficient object detection models with knowledge
    distillation"), with squared differences for both. For a two-stage detector, Faster R-CNN, the
    outputs of the second stage are included: class scores and box regression of the regions that
    the first stage proposes in HR, pooled from HR and from SR. They are 0 if it proposes none.

    Parameters
    ----------
    pyramid
        Weight of the mean over the levels.
    head
        Weight of the mean over the outputs; with 0 no regions are evaluated.

    Raises
    ------
    ValueError
        If both weights are 0.
    """

    stages: Sequence[str] = ("fpn.*", "head.*")
    tasks: Sequence[Task] = ("detection",)

    def __init__(self, *, pyramid: NonNegativeFloat = 1.0, head: NonNegativeFloat = 1.0) -> None:
        if pyramid == head == 0:
            raise ValueError("pyramid and head are both 0; set at least one to a positive weight")
        self._weights = {"fpn.": pyramid, "head.": head}

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the answer on SR with that on HR: a scalar."""
        given, wanted = answer.features, target.features
        if self._weights["head."] > 0 and isinstance(target, RegionAnswer):
            assert isinstance(answer, RegionAnswer)
            regions = target.propose()
            given = {**given, **answer.judge(regions)}
            with torch.no_grad():
                wanted = {**wanted, **target.judge(regions)}
        terms = []
        for prefix, weight in self._weights.items():
            names = [name for name in given if name.startswith(prefix)]
            distances = [_difference(given[name].float(), wanted[name].float()) for name in names]
            terms.append(weight * torch.stack(distances).mean())
        return torch.stack(terms).sum()


def _difference(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference; 0 with a gradient of 0 for empty tensors."""
    return F.mse_loss(given, wanted) if given.numel() else given.sum()


class MeanAveragePrecision:
    """Mean average precision of the boxes found in SR, as defined by COCO (Lin et al. 2014).

    The mean over the intersections over union 0.50, 0.55 ... 0.95 and over the classes that occur,
    with at most 100 boxes per image. torchmetrics computes it (``srkit[detection]``).

    Raises
    ------
    PluginError
        If faster-coco-eval is not installed.
    """

    higher_is_better = True
    unit = ""
    protocol = "COCO: IoU 0.50 to 0.95, at most 100 boxes per image, boxes of all images pooled"
    stages: Sequence[str] = ()
    tasks: Sequence[Task] = ("detection",)

    def __init__(self) -> None:
        _counter()

    def __call__(
        self, answer: Answer, target: Answer, batch: Batch
    ) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """Return the boxes found in each image and the true boxes.

        Raises
        ------
        DataError
            If the batch has no boxes.
        """
        assert answer.find is not None
        truth = boxes_of(batch, "metric 'map'")
        return [
            (_as_dict(found), _as_dict(true))
            for found, true in zip(answer.find(), truth, strict=True)
        ]

    def pool(self, parts: Sequence[Any]) -> tuple[list[float], float]:
        """Return the precision of each image, NaN if it has no box, and of all images."""
        return [_precision([part]) for part in parts], _precision(parts)


def _counter() -> Counted:
    try:
        return Counted(backend="faster_coco_eval")
    except ModuleNotFoundError as error:
        raise PluginError(
            "the package faster-coco-eval is not installed; install srkit[detection]: pip install "
            '"srkit[detection]"'
        ) from error


def _as_dict(boxes: Boxes) -> dict[str, Tensor]:
    named = {"boxes": boxes.corners.float().cpu(), "labels": boxes.labels.cpu()}
    return named if boxes.scores is None else named | {"scores": boxes.scores.float().cpu()}


def _precision(parts: Sequence[Any]) -> float:
    counter = _counter()
    counter.update([found for found, _ in parts], [true for _, true in parts])
    value = float(counter.compute()["map"])
    return value if value >= 0 else float("nan")  # -1 means no true box
