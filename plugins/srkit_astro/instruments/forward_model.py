"""The forward model from SR to LR: the PSF and the pixels of LR, without noise."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from srkit_astro.grids import known_pixel_scale
from srkit_astro.instruments.degradations import HstToHsc, PsfNoise
from srkit_astro.instruments.psf import Psf
from srkit_astro.instruments.sampled_blur import SampledBlur


class ForwardModel:
    """Convolve with the PSF of LR and average over its pixels: a `srkit.interfaces.Observation`.

    Parameters
    ----------
    psf
        The PSF of LR, without the averaging over its pixels; None only averages.
    source
        The PSF of HR, which is matched to `psf`; None if HR is the sky itself.
    lr_pixel
        Side of an LR pixel in arcsec, for images that do not state it.

    Raises
    ------
    ValueError
        If a PSF has a range, or `source` is set without `psf`.
    """

    def __init__(
        self, psf: Psf | None, source: Psf | None, *, lr_pixel: float | None = None
    ) -> None:
        if source is not None and psf is None:
            raise ValueError("'source' needs 'psf', the PSF of LR to match it to")
        if any(each is not None and each.varies for each in (psf, source)):
            raise ValueError("got a range; expected a PSF with fixed parameters")
        self.psf, self.source, self._lr_pixel = psf, source, lr_pixel
        self._telescopes: dict[tuple[int, float], PsfNoise | HstToHsc] = {}

    @property
    def name(self) -> str:
        """Description of the PSFs."""
        if self.psf is None:
            return "averaged over LR pixels"
        target = _describe(self.psf)
        return target if self.source is None else f"{target}, from {_describe(self.source)}"

    def __call__(self, sr: Tensor, scale: int, pixel_scale: float | None) -> Tensor:
        """Convert ``(N, C, H, W)`` images to the grid of LR, which is `scale` times coarser.

        Raises
        ------
        ValueError
            If there is a PSF, but the pixel scale of `sr`, in arcsec, is unknown.
        """
        if self.psf is None:
            return F.avg_pool2d(sr, scale)
        return self._telescope(self.psf, scale, pixel_scale)(sr, [])  # nothing is drawn

    def for_shape(self, lr: Tensor, scale: int, pixel_scale: float | None) -> SampledBlur:
        """Return the same operator for images of one shape, where it is applied many times.

        Raises
        ------
        ValueError
            If there is no PSF, or the pixel scale of SR, in arcsec, is unknown.
        """
        if self.psf is None:
            raise ValueError("there is no PSF")
        height, width = lr.shape[-2:]
        return self._telescope(self.psf, scale, pixel_scale).for_shape((height, width), lr)

    def _telescope(self, psf: Psf, scale: int, pixel_scale: float | None) -> PsfNoise | HstToHsc:
        """Return the degradation for a scale and the side of an HR pixel, built once."""
        if pixel_scale is None and self._lr_pixel is not None:
            pixel_scale = self._lr_pixel / scale
        setting = scale, known_pixel_scale(pixel_scale)
        if setting not in self._telescopes:
            self._telescopes[setting] = self._build(psf, *setting)
        return self._telescopes[setting]

    def _build(self, psf: Psf, scale: int, pixel_scale: float) -> PsfNoise | HstToHsc:
        if self.source is None:
            return PsfNoise(scale=scale, psf=psf, pixel_scale=pixel_scale)
        return HstToHsc(scale=scale, source=self.source, target=psf, pixel_scale=pixel_scale)


def _describe(psf: Psf) -> str:
    """Describe a PSF in words: ``moffat PSF (fwhm 0.63, beta 3)``."""
    given = psf.model_dump(mode="json", exclude={"type"}, exclude_none=True, exclude_defaults=True)
    listed = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in given.items()
    )
    return f"{psf.type} PSF ({listed})"
