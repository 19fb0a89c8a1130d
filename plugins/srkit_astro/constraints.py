"""Constraints on SR: the conservation of the flux of LR."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Batch
from srkit_astro.grids import lr_of
from srkit_astro.instruments.forward_model import ForwardModel
from srkit_astro.instruments.psf import Psf


class Flux:
    """SR conserves the flux of LR.

    Without a PSF, the difference between each LR pixel and the mean of its HR pixels is added to
    them, so that the flux is exact: the additive constraint of Harder et al. (2022),
    arXiv:2208.05424. On the scale of LR pixels, SR then has the noise of LR. With a PSF, SR is
    convolved and averaged, and the difference from LR is added to the HR pixels, repeatedly: the
    back-projection of Irani & Peleg (1991), which converges if the PSF is not much wider than an LR
    pixel. In both cases the total flux is that of LR.

    Parameters
    ----------
    psf
        The PSF of LR, without the averaging over its pixels; see `psf` of `psf_noise`. None only
        averages.
    source
        The PSF of HR, which is matched to `psf`; None if HR is the sky itself.
    steps
        Number of iterations, if there is a PSF.

    Raises
    ------
    ValueError
        If a PSF has a range, or `source` is set without `psf`.
    """

    def __init__(
        self, *, psf: Psf | None = None, source: Psf | None = None, steps: PositiveInt = 1
    ) -> None:
        self._forward = ForwardModel(psf, source)
        self.steps = 1 if psf is None else steps

    @property
    def observation(self) -> ForwardModel | None:
        """How SR is observed as LR; None without a PSF."""
        return None if self._forward.psf is None else self._forward

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Correct ``(N, C, H, W)`` images so that they have the flux of ``batch.lr``.

        Raises
        ------
        ValueError
            If the sides of SR are not a multiple of those of LR.
        """
        lr, scale = lr_of(batch)
        for _ in range(self.steps):
            missing = lr - self._forward(sr, scale, batch.pixel_scale)
            sr = sr + F.interpolate(missing, scale_factor=scale, mode="nearest")
        return sr
