"""Constraints: what SR has to keep of LR's flux, whatever the network makes of it."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Batch
from srkit_astro.grids import lr_of
from srkit_astro.instruments.forward_model import Reobservation
from srkit_astro.instruments.psf import Psf


class Flux:
    """SR, seen as LR is seen, has LR's flux.

    Without a PSF every square of HR pixels gets the mean of its LR pixel, exactly, by adding what
    it lacks: the additive constraint of Harder et al. (2022), arXiv:2208.05424. SR then has
    the noise of LR on the scale of LR's pixels. With a PSF, SR is convolved and averaged, and what
    LR has more or less is added to the squares, again and again: the back-projection of
    Irani & Peleg (1991), which comes close where the PSF is not much wider than an LR pixel.
    Either way the total flux is that of LR.

    Parameters
    ----------
    psf
        PSF of LR before its pixels; see `psf` of `psf_noise`. None: pixels are only averaged.
    source
        PSF that HR has already, to be matched to `psf`; None where HR is the sky itself.
    steps
        How often to go back and forth, where there is a PSF.

    Raises
    ------
    ValueError
        If a PSF has a range, or `source` comes without `psf`.
    """

    def __init__(
        self, *, psf: Psf | None = None, source: Psf | None = None, steps: PositiveInt = 1
    ) -> None:
        self._observe = Reobservation(psf, source)
        self.steps = 1 if psf is None else steps

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Add to ``(N, C, H, W)`` images what they lack of ``batch.lr``.

        Raises
        ------
        ValueError
            If the sides of SR are no multiple of those of LR.
        """
        lr, scale = lr_of(batch)
        for _ in range(self.steps):
            lacking = lr - self._observe(sr, batch, scale)
            sr = sr + F.interpolate(lacking, scale_factor=scale, mode="nearest")
        return sr
