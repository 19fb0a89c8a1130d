"""What losses can ask of a training step, computed only if one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import torch
from torch import Tensor

from srkit.assembly.assembly import Assembly
from srkit.assembly.restore import postprocess
from srkit.data.scales import set_scale
from srkit.errors import TrainingError
from srkit.interfaces.view import View


def view_in_training(
    view: View, assembly: Assembly, average: Callable[[Tensor], Tensor] | None
) -> View:
    """Add to a view what losses can ask for: the averaged SR, the LR of SR, the discriminator.

    Parameters
    ----------
    view
        The batch.
    assembly
        The components for the scale of this step.
    average
        The averaged generator, if there is one.
    """
    given = replace(view, discriminator=assembly.discriminator)
    if average is not None:
        given = replace(given, average=cache(partial(_restore, average, view, assembly)))
    if assembly.degradation is not None and view.flux.lr is not None:
        given = replace(given, degrade=partial(_degrade, view, assembly))
    return given


def _restore(average: Callable[[Tensor], Tensor], view: View, assembly: Assembly) -> Tensor:
    """Restore a batch by the averaged generator."""
    assert view.stretched.lr is not None
    set_scale(average, assembly.scale)
    with torch.no_grad():
        return postprocess(average(view.stretched.lr).float(), view, assembly.constraint)


def _degrade(view: View, assembly: Assembly, sr: Tensor) -> Tensor:
    """Compute the stretched LR of stretched SR.

    Raises
    ------
    TrainingError
        If no gradient passes through the degradation.
    """
    degradation = assembly.degradation
    assert degradation is not None
    degrade = getattr(degradation, "expected", degradation)
    learning = torch.is_grad_enabled()
    with torch.autocast(sr.device.type, enabled=False), torch.enable_grad():
        # A gradient is looked for even where none is needed, so that `recipe check` finds it.
        start = sr if sr.requires_grad else sr.detach().requires_grad_()
        with assembly.blamed("degradation"):
            lr: Tensor = degrade(view.to_flux(start), view.flux.seeds)
        if not lr.requires_grad:
            raise TrainingError(
                "no gradient passes through the degradation, such as JPEG: a loss on the LR of SR "
                "cannot train; remove the loss or that degradation"
            )
        seen = view.to_stretched(lr)
    return seen if learning else seen.detach()
