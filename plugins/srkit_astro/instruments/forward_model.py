"""The forward model from SR to LR: the PSF and the pixels of LR, without noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Batch
from srkit_astro.grids import pixel_scale_of
from srkit_astro.instruments.degradations import HstToHsc, PsfNoise
from srkit_astro.instruments.psf import Psf


class ForwardModel:
    """Convolve with the PSF of LR and average over its pixels.

    Parameters
    ----------
    psf
        The PSF of LR, without the averaging over its pixels; None only averages.
    source
        The PSF of HR, which is matched to `psf`; None if HR is the sky itself.

    Raises
    ------
    ValueError
        If a PSF has a range, or `source` is set without `psf`.
    """

    def __init__(self, psf: Psf | None, source: Psf | None) -> None:
        if source is not None and psf is None:
            raise ValueError("'source' needs 'psf', the PSF of LR to match it to")
        if any(each is not None and each.varies for each in (psf, source)):
            raise ValueError("got a range; expected a PSF with fixed parameters")
        self.psf, self.source = psf, source
        self._telescopes: dict[tuple[int, float], Callable[[Tensor, Sequence[int]], Tensor]] = {}

    def __call__(self, sr: Tensor, batch: Batch, scale: int) -> Tensor:
        """Convert ``(N, C, H, W)`` images to the grid of LR, which is `scale` times coarser.

        Raises
        ------
        ValueError
            If there is a PSF, but the pixel scale is unknown.
        """
        if self.psf is None:
            return F.avg_pool2d(sr, scale)
        setting = scale, pixel_scale_of(batch)
        if setting not in self._telescopes:
            self._telescopes[setting] = self._telescope(self.psf, *setting)
        return self._telescopes[setting](sr, batch.seeds)

    def _telescope(self, psf: Psf, scale: int, pixel_scale: float) -> PsfNoise | HstToHsc:
        if self.source is None:
            return PsfNoise(scale=scale, psf=psf, pixel_scale=pixel_scale)
        return HstToHsc(scale=scale, source=self.source, target=psf, pixel_scale=pixel_scale)
