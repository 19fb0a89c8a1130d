"""SR with the standard deviation of each pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkit.assembly.assembly import Assembly
from srkit.assembly.restore import postprocess
from srkit.assembly.variance_head import VarianceHead
from srkit.functional._self_ensemble import self_ensemble
from srkit.functional.resizing import to_hr_grid
from srkit.interfaces import Batch, Constraint
from srkit.interfaces.view import View


@dataclass(frozen=True, slots=True)
class Estimate:
    """SR and its standard deviation.

    Parameters
    ----------
    sr
        ``(N, C, H, W)`` in flux.
    sigma
        Standard deviation of each pixel, in the unit of `sr`.
    """

    sr: Tensor
    sigma: Tensor


def estimate(
    generator: Callable[[Tensor], Tensor],
    view: View,
    constraint: Constraint | None = None,
    head: VarianceHead | None = None,
) -> Estimate:
    """Restore a batch, with the standard deviation of every pixel.

    The standard deviation is the one that the head was trained to predict: the distance of SR from
    HR. Without a head it is the spread of the self-ensemble, and SR is the mean of the ensemble.
    The spread shows where the network contradicts itself, which is only a part of its error.

    Networks see stretched flux; the standard deviation is converted back to first order, by the
    slope of the inverse at SR. A constraint changes SR, but not its standard deviation.

    Parameters
    ----------
    generator
        From LR to SR, in evaluation mode.
    view
        The batch; SR is resized to the grid of its HR.
    constraint
        What SR must keep of the flux of LR.
    head
        Predicts the variance.
    """
    assert view.stretched.lr is not None
    if head is None:
        output, variance = self_ensemble(generator, view.stretched.lr)
    else:
        output = generator(view.stretched.lr).float()
        variance = head(view.stretched.lr, output).exp()
    variance = to_hr_grid(variance, view.stretched, "bilinear")  # no kernel that may fall below 0
    sr = postprocess(output, view, constraint)
    return Estimate(view.to_flux(sr), view.sigma_to_flux(sr, variance.sqrt()))


def pulls_by_key(assembly: Assembly, view: View) -> Tensor:
    """Return what the correction of a variance head is fitted to, for each pixel of a batch.

    Parameters
    ----------
    assembly
        Generator, constraint and variance head, in evaluation mode.
    view
        The batch, with HR.

    Returns
    -------
    Tensor
        ``(2, N, C, H, W)``: the head's measure of the signal-to-noise, and the absolute error of SR
        over the standard deviation without correction.
    """
    head, generator = assembly.uncertainty, assembly.generator
    assert head is not None and generator is not None and view.stretched.lr is not None
    output = generator(view.stretched.lr).float()
    raw = head.uncorrected(view.stretched.lr, output)
    keys, variance = (
        to_hr_grid(each, view.stretched, "bilinear") for each in (head.key(output, raw), raw.exp())
    )
    sr = postprocess(output, view, assembly.constraint)
    sigma = view.sigma_to_flux(sr, variance.sqrt())
    return torch.stack([keys, (view.to_flux(sr) - view.flux.hr).abs() / sigma])


def sample_pixels(estimate: Estimate, batch: Batch, index: int, count: int) -> NDArray[np.float32]:
    """Choose random pixels of an image of a batch, by its seed.

    Parameters
    ----------
    estimate
        SR of the batch.
    batch
        The batch, with HR.
    index
        Index of the image.
    count
        Largest number of pixels.

    Returns
    -------
    ndarray
        ``(3, n)``: SR - HR, its standard deviation, and SR.
    """
    size = batch.hr[index].numel()
    drawn = np.random.default_rng(batch.seeds[index]).choice(size, min(count, size), replace=False)
    chosen = torch.from_numpy(drawn).to(batch.hr.device)
    error = (estimate.sr[index] - batch.hr[index]).flatten()[chosen]
    sigma = estimate.sigma[index].flatten()[chosen]
    sr = estimate.sr[index].flatten()[chosen]
    pixels: NDArray[np.float32] = torch.stack([error, sigma, sr]).float().cpu().numpy()
    return pixels
