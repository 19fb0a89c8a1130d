"""From LR to SR on the grid of HR, as training and evaluation see it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from srkit.functional.resizing import Kernel, resize
from srkit.interfaces import (
    Batch,
    Constraint,
)
from srkit.interfaces.view import View


def fit(images: Tensor, batch: Batch, kernel: Kernel = "bicubic") -> Tensor:
    """Bring LR or SR images to the grid of HR, antialiased.

    With a factor such as 0.32, whose LR side is rounded up, the grids are aligned by the factor
    and not by the sides.
    """
    assert batch.lr is not None
    height, width = batch.hr.shape[-2:]
    if batch.factor is None:
        same = images.shape[-2:] == (height, width)
        return images if same else resize(images, (height, width), kernel=kernel)
    sides = images.shape[-1] / batch.lr.shape[-1]
    factor = 1 / (batch.factor * sides)
    if images.shape[-2:] == (height, width) and abs(factor - 1) < 1e-6:
        return images
    return resize(images, (height, width), factor=factor, kernel=kernel)


def restore(
    generator: Callable[[Tensor], Tensor], view: View, constraint: Constraint | None = None
) -> Tensor:
    """Run the generator on LR, bring SR to the grid of HR and let it keep its constraint.

    Returns
    -------
    Tensor
        SR as networks and losses see it.
    """
    assert view.seen.lr is not None
    return settle(generator(view.seen.lr).float(), view, constraint)


def settle(output: Tensor, view: View, constraint: Constraint | None = None) -> Tensor:
    """Bring what a generator made to the grid of HR and let it keep its constraint."""
    sr = fit(output, view.seen)
    if constraint is None:
        return sr
    with torch.autocast(sr.device.type, enabled=False):  # flux is not to be rounded
        return view.to_seen(constraint(view.to_flux(sr), view.flux))


def predict(head: Callable[[Tensor, Tensor], Tensor], output: Tensor, batch: Batch) -> Tensor:
    """Run the head that predicts the log variance, and bring that to the grid of HR.

    Parameters
    ----------
    head
        From LR and SR to log variance.
    output
        What the generator made of the batch, on its own grid.
    batch
        As networks see it.
    """
    assert batch.lr is not None
    return fit(head(batch.lr, output.detach()), batch, "bilinear")
