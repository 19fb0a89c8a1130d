"""Restored images as figures show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from srkit.assembly.device import evaluating
from srkit.evaluation.evaluator import Evaluator
from srkit.evaluation.restorers import Restorer, image_of
from srkit.interfaces import Batch, MappedMetric
from srkit.report._pictures import ImageRow, Pixels, to_picture, to_row


def render(
    evaluator: Evaluator, restorers: Mapping[str, Restorer], indices: Sequence[int]
) -> list[ImageRow]:
    """Restore chosen images, one by one.

    Returns
    -------
    list of ImageRow
        For each index ``original``, ``LR``, the image of each restorer, and the maps of the
        metrics that have them.
    """
    assembly = evaluator.assembly
    metrics = {
        name: metric
        for name, metric in assembly.metrics.items()
        if isinstance(metric, MappedMetric)
    }
    rows = []
    for batch, images in _restored(evaluator, restorers, indices):
        measured = {model: image for model, image in images.items() if model != "LR"}
        with torch.no_grad():
            maps = {
                name: {model: metric.map(image, batch) for model, image in measured.items()}
                for name, metric in metrics.items()
            }
        rows.append(to_row(images, batch, assembly.stretch, maps))
    return rows


def render_pictures(
    evaluator: Evaluator, restorers: Mapping[str, Restorer], indices: Sequence[int]
) -> list[dict[str, Pixels]]:
    """Restore chosen images as pictures in [0, 1]: the images of :func:`render`."""
    stretch = evaluator.assembly.stretch
    return [
        {name: to_picture(image, batch, stretch) for name, image in images.items()}
        for batch, images in _restored(evaluator, restorers, indices)
    ]


def _restored(
    evaluator: Evaluator, restorers: Mapping[str, Restorer], indices: Sequence[int]
) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
    for index in indices:
        (batch,) = evaluator.batches([index])
        assert batch.lr is not None
        images = {"original": batch.hr, "LR": batch.lr}
        with torch.no_grad(), evaluating(evaluator.assembly):
            for name, restorer in restorers.items():
                if name != "original":
                    images[name] = image_of(restorer(batch))
        yield batch, images
