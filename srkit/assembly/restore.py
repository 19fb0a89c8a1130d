"""From LR to SR on the grid of HR, in training and in evaluation alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from srkit.functional.resizing import to_hr_grid
from srkit.interfaces import Batch, Constraint
from srkit.interfaces._contract import require_shape
from srkit.interfaces.view import View


def restore(
    generator: Callable[[Tensor], Tensor], view: View, constraint: Constraint | None = None
) -> Tensor:
    """Run the generator on LR, resize its output to the grid of HR and apply the constraint.

    Returns
    -------
    Tensor
        SR as networks and losses see it.
    """
    assert view.stretched.lr is not None
    return postprocess(generator(view.stretched.lr).float(), view, constraint)


def postprocess(output: Tensor, view: View, constraint: Constraint | None = None) -> Tensor:
    """Resize the output of a generator to the grid of HR and apply the constraint."""
    sr = to_hr_grid(output, view.stretched)
    if constraint is None:
        return sr
    with torch.autocast(sr.device.type, enabled=False):  # flux must not be rounded
        kept = constraint(view.to_flux(sr), view.flux)
        require_shape(kept, sr.shape, "constrained SR")
        return view.to_stretched(kept)


def predict_log_variance(
    head: Callable[[Tensor, Tensor], Tensor], output: Tensor, batch: Batch
) -> Tensor:
    """Run the head that predicts the log variance, and resize the result to the grid of HR.

    Parameters
    ----------
    head
        From LR and SR to log variance.
    output
        The output of the generator, on its own grid.
    batch
        As networks see it.
    """
    assert batch.lr is not None
    return to_hr_grid(head(batch.lr, output.detach()), batch, "bilinear")
