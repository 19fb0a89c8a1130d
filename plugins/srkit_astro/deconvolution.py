"""Deconvolution by Richardson and Lucy, the classical baseline of super-resolution in astronomy."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from srkit.functional import capable_device
from srkit.interfaces import Batch
from srkit_astro.grids import lr_of
from srkit_astro.instruments.forward_model import ForwardModel
from srkit_astro.instruments.psf import Psf
from srkit_astro.metrics.consistency import noise_variance

#: Standard deviation of a normal distribution over its median absolute deviation.
MAD = 1.4826


class RichardsonLucy:
    """Deconvolution of LR with a stated PSF, on the grid of SR.

    Starting from SR, which is the bicubic interpolation where this is an evaluation baseline, each
    step observes SR with the PSF and the pixels of LR, divides LR by the result, and multiplies SR
    by the ratio, carried back by the transposed observation (Richardson 1972, Lucy 1974). It is
    the algorithm of ``skimage.restoration.richardson_lucy``, with the averaging over LR pixels in
    the operator, instead of an interpolation of LR.

    The algorithm is for photon counts, and the sky of astronomical images is around 0 with negative
    noise. A pedestal is therefore added to LR and SR and subtracted at the end. Pixels of LR that
    are still not positive, or missing, are left out of the ratio.

    The more steps, the sharper is SR, and the more it follows the noise. Each image therefore ends
    when the mean squared difference of LR and observed SR, in units of the noise variance, is at
    most `chi_square` (the discrepancy principle). The variance is that of `reduced_chi_square`.

    Parameters
    ----------
    psf
        The PSF of LR, without the averaging over its pixels; see `psf` of `psf_noise`.
    source
        The PSF of HR, so that SR is restored to it; None if HR is the sky itself.
    iterations
        Largest number of steps.
    chi_square
        Reduced chi-square at which an image ends; 0 takes all steps.
    pedestal
        Level that is added, in standard deviations of the sky of each band of LR.

    Raises
    ------
    ValueError
        If a PSF has a range.

    References
    ----------
    W. H. Richardson, "Bayesian-based iterative method of image restoration", JOSA 62 (1972) 55.
    L. B. Lucy, "An iterative technique for the rectification of observed distributions", AJ 79
    (1974) 745.
    """

    def __init__(
        self,
        *,
        psf: Psf,
        source: Psf | None = None,
        iterations: PositiveInt = 100,
        chi_square: NonNegativeFloat = 0.85,
        pedestal: NonNegativeFloat = 2.0,
    ) -> None:
        self._forward = ForwardModel(psf, source)
        self.iterations, self.chi_square, self.pedestal = iterations, chi_square, pedestal

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Deconvolve ``batch.lr``, starting from ``(N, C, H, W)`` images of the same dtype.

        Raises
        ------
        ValueError
            If the sides of SR are not a multiple of those of LR, or the pixel scale is unknown.
        """
        lr, scale = lr_of(batch)
        device = capable_device(lr.device)
        data, estimate = lr.to(device), sr.to(device)
        observe = self._forward.for_shape(data, scale, batch.pixel_scale)
        level = self._levels(data)
        counts = data + level
        used = counts > 0  # False for NaN, too
        limits = torch.finfo(counts.dtype)
        rounding = limits.eps * counts.nan_to_num(posinf=0).amax((2, 3), keepdim=True)
        floor = torch.maximum(1e-3 * level, rounding).clamp(min=limits.tiny)
        share = observe.transpose(used.to(counts)).clamp(min=1e-6)
        estimate = (estimate + level).nan_to_num().clamp(min=floor)
        variance = self._variance(batch).to(counts)
        for _ in range(self.iterations):
            expected = observe(estimate).clamp(min=floor)
            missed = torch.where(used, (counts - expected) ** 2 / variance, math.nan)
            unfinished = ~(missed.nanmean((1, 2, 3), keepdim=True) <= self.chi_square)
            if not unfinished.any():
                break
            ratio = torch.where(used & unfinished, counts / expected, used)
            estimate = estimate * (observe.transpose(ratio).clamp(min=0) / share)
        return (estimate - level).to(sr)

    def _variance(self, batch: Batch) -> Tensor:
        """Return the variance of the noise of LR; missing pixels do not matter."""
        lr, _ = lr_of(batch)
        middle = lr.flatten(2).nanmedian(2).values[..., None, None]
        return noise_variance(replace(batch, lr=torch.where(lr.isfinite(), lr, middle)))

    def _levels(self, lr: Tensor) -> Tensor:
        """Return the pedestal of each band, ``(N, C, 1, 1)``."""
        pixels = lr.flatten(2)
        middle = pixels.nanmedian(2, keepdim=True).values
        deviation = (pixels - middle).abs().nanmedian(2, keepdim=True).values
        return (self.pedestal * MAD * deviation)[..., None]
