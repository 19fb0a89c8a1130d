"""From LR to SR on the grid of HR, as training and evaluation see it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from srkit.functional.resizing import to_hr_grid
from srkit.interfaces import (
    Batch,
    Constraint,
)
from srkit.interfaces.view import View


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
    sr = to_hr_grid(output, view.seen)
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
    return to_hr_grid(head(batch.lr, output.detach()), batch, "bilinear")
