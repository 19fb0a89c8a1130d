"""Whether SR agrees with the data: degraded again, it has to be LR within the noise."""

from __future__ import annotations

import math

import torch
from astropy.stats import sigma_clipped_stats
from pydantic import NonNegativeInt
from torch import Tensor

from srkit.functional import check_equal_shapes
from srkit.interfaces import Batch
from srkit_astro.grids import lr_of
from srkit_astro.instruments.forward_model import Reobservation
from srkit_astro.instruments.psf import Psf
from srkit_astro.metrics.bands import Band, each_image


class ReducedChiSquare:
    """Mean squared residual of SR, degraded again, from LR in units of the noise variance.

    ``sum((LR - D(SR))**2 / variance) / pixels``, where D convolves with the PSF and averages over
    LR pixels. About 1 for HR, if PSF and noise are right; far above, SR contradicts the data; far
    below, it follows the noise of LR, as interpolation does. Nothing is fitted, so every pixel is a
    degree of freedom. The variance is that of the data set, or else the square of the
    sigma-clipped scatter of LR, which holds the sky's noise but not that of the sources' photons.
    Undefined where the variance is 0 anywhere.

    Parameters
    ----------
    psf
        PSF of LR before its pixels; see `psf` of `psf_noise`. None: pixels are only averaged.
    source
        PSF that HR has already, to be matched to `psf`; None where HR is the sky itself.
    border
        LR pixels to leave out at each side, where light comes in from beyond the image.

    Raises
    ------
    ValueError
        If a PSF has a range, or `source` comes without `psf`.
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
        self._observe, self.border = Reobservation(psf, source), border
        blur = "averaged" if psf is None else f"convolved with the PSF ({psf.type}) and averaged"
        self.protocol = (
            f"mean of (LR - SR degraded)**2 / variance; SR {blur} over LR pixels; {border} LR "
            "pixels left out at each border; variance of the data set, else "
            "sigma-clipped scatter of LR"
        )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.lr``: shape ``(N,)``."""
        check_equal_shapes(sr, batch.hr)
        lr, scale = lr_of(batch)
        inner = [slice(self.border, side - self.border) for side in lr.shape[-2:]]
        if min(lr.shape[-2:]) <= 2 * self.border:
            raise ValueError(
                f"a border of {self.border} pixels leaves nothing of LR's "
                f"{lr.shape[-2]} x {lr.shape[-1]} pixels"
            )
        variance = noise_variance(batch)
        residual = lr.double() - self._observe(sr.double(), batch, scale)
        squared = residual**2 / torch.where(variance > 0, variance.double(), math.nan)
        return squared[..., inner[0], inner[1]].mean((1, 2, 3)).cpu()


def noise_variance(batch: Batch) -> Tensor:
    """Give the variance of LR's noise: the data set's, else each band's clipped scatter squared.

    Returns
    -------
    Tensor
        Of the shape of ``batch.lr``, or ``(N, C, 1, 1)`` expanded to it.
    """
    if batch.variance is not None:
        return batch.variance
    lr, _ = lr_of(batch)

    def measure(band: Band) -> float:
        return float(sigma_clipped_stats(band)[2]) ** 2

    found = each_image(measure, lr.flatten(0, 1)[:, None])
    return found.reshape(*lr.shape[:2], 1, 1).to(lr.device).expand_as(lr)
