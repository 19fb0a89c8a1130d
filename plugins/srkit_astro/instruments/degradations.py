"""Degradations by a telescope: PSF, larger pixels and noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit_astro.instruments.noise import CameraNoise, lr_variance
from srkit_astro.instruments.psf import Psf, half_width, kernels
from srkit_astro.instruments.psf_matching import matching_kernels, sharpens
from srkit_astro.instruments.ranges import Positive
from srkit_astro.instruments.sampled_blur import SampledBlur, mirrored


class _Telescope(ABC):
    """Convolve with a kernel, average over LR pixels, and add noise.

    Beyond its borders the image is continued by its mirror image, with the border pixel repeated,
    so that a circular PSF conserves the total flux exactly. Nothing is clipped.

    Attributes
    ----------
    factor
        Side of LR divided by side of HR.
    pixel_scale
        Side of an HR pixel in arcsec.
    """

    def __init__(self, scale: int, pixel_scale: float, noise: CameraNoise | None) -> None:
        self.factor = 1 / scale
        self.scale = scale
        self.pixel_scale = pixel_scale
        self.noise = noise

    @abstractmethod
    def _kernels(self, sources: Sequence[torch.Generator], device: torch.device) -> Tensor:
        """Return the kernels of the samples, ``(N or 1, k, k)``."""

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Degrade ``(N, C, H, W)`` images."""
        sources = _sources(seeds)
        if self.noise is None:
            return self._blur(hr, sources)
        conditions = self.noise.draw(sources, self.pixel_scale * self.scale)
        lr = self._blur(hr, sources)
        return conditions.add_noise(lr, [_seed(source) for source in sources])

    def expected(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Degrade ``(N, C, H, W)`` images as with these seeds, but without noise."""
        sources = _sources(seeds)
        if self.noise is not None:
            # As in `__call__`, the noise draws from the generators before the PSF does.
            self.noise.draw(sources, self.pixel_scale * self.scale)
        return self._blur(hr, sources)

    def variance(self, lr: Tensor, seeds: Sequence[int]) -> Tensor | None:
        """Return the variance of the noise in LR; see :func:`.noise.lr_variance`."""
        if self.noise is None:
            return None
        return lr_variance(lr, self.noise, self.pixel_scale * self.scale, seeds)

    def for_shape(self, shape: tuple[int, int], like: Tensor) -> SampledBlur:
        """Return the operator without noise for LR of a shape, for PSFs with fixed parameters.

        Its dtype and device are those of `like`.
        """
        return SampledBlur(self._kernels([], like.device).to(like), self.scale, shape)

    def _blur(self, hr: Tensor, sources: Sequence[torch.Generator]) -> Tensor:
        blurred = convolve(hr, self._kernels(sources, hr.device))
        return F.avg_pool2d(blurred, self.scale, ceil_mode=True)


class PsfNoise(_Telescope):
    """Convolve with a PSF, average over LR pixels, and add the noise of a camera.

    HR is the sky, and LR is an observation of it. At the borders HR is continued by its mirror
    image, and the flux is conserved. Nothing is clipped.

    Parameters
    ----------
    psf
        `type` is gaussian (`fwhm`), moffat (`fwhm`, `beta`), airy (`fwhm` or `lambda_over_d`,
        `obscuration`), image (`file`, `pixel_scale`, `sky`) or stars (`file`, the frame in which
        it is measured), in arcsec. Two numbers are a range, from which a value is drawn for each
        sample.
    pixel_scale
        Side of an HR pixel in arcsec.
    noise
        `exposure` in s, `gain` in electrons per second for one unit of the image, `read_noise` in
        electrons, `reads`, and either `sky` in the unit of the image, or `sky_magnitude` per square
        arcsec with `zero_point`. None adds no noise.
    """

    def __init__(
        self,
        *,
        scale: int,
        psf: Psf,
        pixel_scale: Positive,
        noise: CameraNoise | None = None,
    ) -> None:
        super().__init__(scale, pixel_scale, noise)
        self.psf = psf
        self._half = half_width(psf, pixel_scale)
        self._fixed = None if psf.varies else kernels(psf, pixel_scale, self._half)

    def _kernels(self, sources: Sequence[torch.Generator], device: torch.device) -> Tensor:
        if self._fixed is not None:
            return self._fixed
        return kernels(self.psf, self.pixel_scale, self._half, sources, device)


class HstToHsc(_Telescope):
    """Convert the PSF of HR to a broader one, average over LR pixels, and add noise.

    HR is an image from a telescope with a sharp PSF, such as HST, and LR an image of the same sky
    from another, such as Subaru with HSC. The kernel between the two PSFs is computed by division
    in Fourier space with a penalty on roughness (Boucaud et al. 2016, arXiv:1609.02006). At the
    borders HR is continued by its mirror image, and the flux is conserved. The noise of HR is
    smoothed, not removed. Nothing is clipped.

    Parameters
    ----------
    source
        The PSF of HR; see `psf` of `psf_noise`.
    target
        The PSF of LR, without the averaging over its pixels.
    pixel_scale
        Side of an HR pixel in arcsec.
    noise
        Noise that is added to LR; see `noise` of `psf_noise`.
    regularisation
        Weight of the penalty; increase it for noisy PSF images.

    Raises
    ------
    ValueError
        If the target is narrower than the source.
    """

    def __init__(
        self,
        *,
        scale: int,
        source: Psf,
        target: Psf,
        pixel_scale: Positive,
        noise: CameraNoise | None = None,
        regularisation: Positive = 1e-6,
    ) -> None:
        super().__init__(scale, pixel_scale, noise)
        self.source, self.target = source, target
        self.regularisation = regularisation
        self._half = max(half_width(psf, pixel_scale) for psf in (source, target))
        if any(sharpens(self._match(s, t)) for s in source.extremes() for t in target.extremes()):
            raise ValueError(
                "the target PSF is narrower than the source PSF, which would make LR sharper than "
                "HR; expected a broader one; check that both are in arcsec"
            )
        fixed = not (source.varies or target.varies)
        self._fixed = self._match(source, target) if fixed else None

    def _kernels(self, sources: Sequence[torch.Generator], device: torch.device) -> Tensor:
        if self._fixed is not None:
            return self._fixed
        return self._match(self.source, self.target, sources, device)

    def _match(
        self,
        source: Psf,
        target: Psf,
        sources: Sequence[torch.Generator] = (),
        device: torch.device | None = None,
    ) -> Tensor:
        before, after = (
            kernels(psf, self.pixel_scale, self._half, sources, device) for psf in (source, target)
        )
        return matching_kernels(before, after, self.regularisation)


def convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """Convolve by FFT, with images continued by their mirror images, border pixels repeated.

    Parameters
    ----------
    images
        ``(N, C, H, W)`` of any size.
    kernel
        ``(N, k, k)``, centred, with odd sides; or ``(1, k, k)`` for all images.

    Returns
    -------
    Tensor
        ``(N, C, H, W)``, of the dtype of `images`.
    """
    height, width = images.shape[-2:]
    half = kernel.shape[-1] // 2
    wide = mirrored(images, half)
    if torch.compiler.is_compiling() and len(kernel) == 1:
        # ONNX runtimes support convolutions, but not Fourier transforms of any length.
        single = F.conv2d(wide.flatten(0, 1)[:, None], kernel.flip(-2, -1).to(images)[:, None])
        return single.reshape(images.shape)
    # Multiples of 32 have fast transforms; the padding absorbs the wrap-around.
    shape = [-(-(side + 2 * half) // 32) * 32 for side in (height, width)]
    centred = F.pad(kernel, (0, shape[1] - kernel.shape[-1], 0, shape[0] - kernel.shape[-2]))
    transfer = torch.fft.rfft2(centred.to(images))[:, None]
    result: Tensor = torch.fft.irfft2(torch.fft.rfft2(wide, shape) * transfer, shape)
    # The kernel is centred at (half, half) instead of the origin, which shifts the result.
    return result[..., 2 * half : 2 * half + height, 2 * half : 2 * half + width].contiguous()


def _sources(seeds: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def _seed(source: torch.Generator) -> int:
    """Draw a seed for a random generator on another device."""
    return int(torch.randint(2**63 - 1, (), generator=source))
