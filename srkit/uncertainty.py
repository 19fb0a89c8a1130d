"""How sure an image is: SR with the standard deviation of each pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkit.ensembling import self_ensemble
from srkit.interfaces import Batch, Constraint
from srkit.models import Model
from srkit.objectives import fit, settle
from srkit.stretching import View
from srkit.variance import VarianceHead


@dataclass(frozen=True, slots=True)
class Estimate:
    """An image, and how sure it is.

    Parameters
    ----------
    sr
        ``(N, C, H, W)`` in flux.
    sigma
        Standard deviation of each of its pixels, in the unit of `sr`.
    """

    sr: Tensor
    sigma: Tensor


def estimate(
    generator: Callable[[Tensor], Tensor],
    view: View,
    constraint: Constraint | None = None,
    head: VarianceHead | None = None,
) -> Estimate:
    """Restore a batch, and say how sure every pixel is.

    The standard deviation is the one that the head was trained to predict: how far SR is from HR.
    Without a head it is the spread of the self-ensemble, of which SR is the mean then. That shows
    where the network contradicts itself, and is a lower bound of its error. Networks see stretched
    flux; the way back is to first order, by the slope of the inverse at SR. A constraint moves SR
    and leaves the standard deviation as it is.

    Parameters
    ----------
    generator
        From LR to SR, in evaluation mode.
    view
        The batch; SR is brought to the grid of its HR.
    constraint
        What SR has to keep of LR's flux.
    head
        What predicts the variance.
    """
    assert view.seen.lr is not None
    output, variance = ask(generator, view.seen.lr, head)
    variance = fit(variance, view.seen, "bilinear")  # no kernel that may fall below 0
    sr = settle(output, view, constraint)
    return Estimate(view.to_flux(sr), view.sigma_to_flux(sr, variance.sqrt()))


def ask(
    generator: Callable[[Tensor], Tensor], lr: Tensor, head: VarianceHead | None
) -> tuple[Tensor, Tensor]:
    """Give what a generator makes of LR and its variance, on its own grid, as networks see it.

    What is made of a pixel depends on its neighbourhood only, so that tiles may be asked about.
    """
    if head is None:
        return self_ensemble(generator, lr)
    output = generator(lr).float()
    return output, head(lr, output).exp()


def sample_pixels(estimate: Estimate, batch: Batch, index: int, count: int) -> NDArray[np.float32]:
    """Choose pixels of an image of a batch, by its seed.

    Parameters
    ----------
    estimate
        Of the batch.
    batch
        With HR.
    index, count
        Of which image, and how many at most.

    Returns
    -------
    ndarray
        ``(2, n)``: SR - HR, and its standard deviation.
    """
    size = batch.hr[index].numel()
    drawn = np.random.default_rng(batch.seeds[index]).choice(size, min(count, size), replace=False)
    chosen = torch.from_numpy(drawn).to(batch.hr.device)
    error = (estimate.sr[index] - batch.hr[index]).flatten()[chosen]
    sigma = estimate.sigma[index].flatten()[chosen]
    pixels: NDArray[np.float32] = torch.stack([error, sigma]).float().cpu().numpy()
    return pixels


def restore_with_sigma(model: Model, lr: Tensor, pixel_scale: float | None = None) -> Estimate:
    """Restore LR images with a model, and say how sure every pixel is; see :func:`estimate`.

    Parameters
    ----------
    model
        Where it has a head that predicts the variance, that is asked; else the self-ensemble is.
    lr
        ``(N, C, h, w)`` in flux, on the model's device.
    pixel_scale
        Side of an SR pixel in arcsec, for a constraint that needs it.

    Returns
    -------
    Estimate
        On the model's own grid: ``(N, C, scale h, scale w)`` in flux.
    """
    sides = (model.scale * side for side in lr.shape[-2:])
    grid = lr.new_zeros(()).expand(*lr.shape[:2], *sides)  # in place of HR, which nobody has
    batch = Batch([""] * len(lr), grid, [0] * len(lr), lr=lr, pixel_scale=pixel_scale)
    with torch.no_grad():
        view = View.of(batch, model.stretch)
        return estimate(model.generator, view, model.constraint, model.head)
