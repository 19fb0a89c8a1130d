"""Consistency of SR with the data: degraded again, it must agree with LR within the noise."""

from __future__ import annotations

import math
from copy import copy

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from srkit.functional import capable_device, check_equal_shapes, measure_noise
from srkit.interfaces import Batch, Observation
from srkit_astro.grids import lr_of
from srkit_astro.instruments.forward_model import ForwardModel
from srkit_astro.instruments.psf import Psf


class ReducedChiSquare:
    """Mean squared difference of LR and degraded SR, in units of the noise variance.

    ``sum((LR - D(SR))**2 / variance) / pixels``, where D convolves with the PSF and averages over
    LR pixels. It is about 1 for HR if PSF and noise are right. Far above 1, SR contradicts the
    data; far below 1, it follows the noise of LR, as interpolation does. Nothing is fitted, so
    every pixel is a degree of freedom. The variance is that of the data set or, if it has none, the
    square of the noise of the background of LR, with what is correlated between its pixels but
    without the photon noise of sources. Correlated noise does not change the expected value of 1,
    but its scatter: N pixels then count as N / sum(correlation**2). Undefined if the variance is 0
    anywhere.

    Parameters
    ----------
    psf
        The PSF of LR, without the averaging over its pixels; see `psf` of `psf_noise`. None only
        averages.
    source
        The PSF of HR, which is matched to `psf`; None if HR is the sky itself.
    border
        Number of ignored LR pixels at each edge, where light enters from outside the image.

    Raises
    ------
    ValueError
        If a PSF has a range, or `source` is set without `psf`.
    """

    higher_is_better = False
    unit = ""

    def __init__(
        self,
        *,
        psf: Psf | None = None,
        source: Psf | None = None,
        border: NonNegativeInt = 4,
    ) -> None:
        self._forward: Observation = ForwardModel(psf, source)
        self._stated, self.border = psf is not None, border

    @property
    def protocol(self) -> str:
        """How the number is computed."""
        observed = f"observed with the {self._forward.name}"
        if not self._stated:
            observed = "averaged (0 by construction for the constraint 'flux' without a PSF)"
        return (
            f"mean of (LR - degraded SR)**2 / variance; SR {observed}; {self.border} LR pixels "
            "left out at each edge; variance of the data set, else that of the background of LR; "
            "values below that of the original are not better, but follow the noise of LR"
        )

    @property
    def observation(self) -> Observation | None:
        """How SR is observed as LR; None without a PSF."""
        return self._forward if self._stated else None

    def observed_by(self, observation: Observation) -> ReducedChiSquare:
        """Return the same metric with another PSF."""
        other = copy(self)
        other._forward, other._stated = observation, True
        return other

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.lr``: shape ``(N,)``."""
        check_equal_shapes(sr, batch.hr)
        lr, scale = lr_of(batch)
        inner = [slice(self.border, side - self.border) for side in lr.shape[-2:]]
        if min(lr.shape[-2:]) <= 2 * self.border:
            raise ValueError(
                f"a border of {self.border} pixels leaves none of the "
                f"{lr.shape[-2]} x {lr.shape[-1]} pixels of LR; set a smaller one"
            )
        device = capable_device(lr.device)
        lr, sr, variance = (each.to(device).double() for each in (lr, sr, noise_variance(batch)))
        residual = lr - self._forward(sr, scale, batch.pixel_scale)
        squared = residual**2 / torch.where(variance > 0, variance, math.nan)
        return squared[..., inner[0], inner[1]].mean((1, 2, 3)).cpu()


def noise_variance(batch: Batch) -> Tensor:
    """Return the variance of the noise of LR.

    It is that of the data set or, if it has none, that of the background of each band.

    Returns
    -------
    Tensor
        The variance, in the shape of ``batch.lr``.
    """
    if batch.variance is not None:
        return batch.variance
    lr, _ = lr_of(batch)

    found = torch.tensor([measure_noise(band).rms ** 2 for band in lr.flatten(0, 1).cpu().numpy()])
    return found.reshape(*lr.shape[:2], 1, 1).to(lr.device).expand_as(lr)
