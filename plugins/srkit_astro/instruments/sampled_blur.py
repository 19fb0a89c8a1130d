"""Convolution and averaging over LR pixels in one step, for operators that are applied often."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.functional import mirror_indices


class SampledBlur:
    """Convolve with a kernel and average over LR pixels, or the transposed operator.

    Only the pixels of LR are computed: HR is divided into images of every `scale`-th pixel, so that
    all Fourier transforms are those of images as large as LR, and that of the kernel is computed
    once. Beyond its borders the image is continued by its mirror image, with the border pixel
    repeated.

    Parameters
    ----------
    kernel
        ``(1, k, k)``, centred, with odd sides; its dtype is that of the computation.
    scale
        HR pixels per LR pixel along a side.
    shape
        Height and width of LR.
    """

    def __init__(self, kernel: Tensor, scale: int, shape: tuple[int, int]) -> None:
        from scipy.fft import next_fast_len  # only here: it takes long to import

        self.scale, self.shape = scale, shape
        half = kernel.shape[-1] // 2
        self._reach = -(-half // scale)  # in LR pixels
        margin = scale * self._reach + scale - 1 - half
        turned = F.pad(kernel.flip(-2, -1), (margin,) * 4)
        weights = F.pixel_unshuffle(F.avg_pool2d(turned, scale, stride=1), scale)
        self._size = [next_fast_len(side + 2 * self._reach, real=True) for side in shape]
        self._transfer = torch.fft.rfft2(weights.unflatten(0, (scale, scale)), self._size)
        self._mirrored = self._transfer.conj().resolve_conj()

    def __call__(self, hr: Tensor) -> Tensor:
        """Convert ``(N, C, scale H, scale W)`` images to ``(N, C, H, W)``."""
        wide = mirrored(hr, self.scale * self._reach)
        parts = wide.unflatten(-1, (-1, self.scale)).unflatten(-3, (-1, self.scale))
        spectrum = torch.fft.rfft2(parts.permute(0, 1, 3, 5, 2, 4), self._size) * self._mirrored
        height, width = self.shape
        result: Tensor = torch.fft.irfft2(spectrum.sum((2, 3)), self._size)[..., :height, :width]
        return result

    def transpose(self, lr: Tensor) -> Tensor:
        """Convert ``(N, C, H, W)`` images to ``(N, C, scale H, scale W)``.

        Light is spread over the HR pixels of each LR pixel and convolved with the mirrored kernel.
        A constant stays as it is, unlike with the adjoint, which is smaller by ``scale**2``.
        """
        wide = mirrored(self.scale**2 * lr, self._reach)
        spectrum = torch.fft.rfft2(wide, self._size)[:, :, None, None]
        parts = torch.fft.irfft2(spectrum * self._transfer, self._size)
        rows, columns = (slice(2 * self._reach, 2 * self._reach + side) for side in self.shape)
        return parts[..., rows, columns].permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


def mirrored(images: Tensor, margin: int) -> Tensor:
    """Continue images by their mirror images on each side, border pixels repeated.

    The paddings of torch and kornia do not repeat the border pixel, which conserving the flux
    needs.
    """
    for axis in (-2, -1):
        side = images.shape[axis]
        ends = torch.arange(-margin, 0), torch.arange(side, side + margin)
        before, after = (mirror_indices(end.to(images.device), side) for end in ends)
        parts = images.index_select(axis, before), images, images.index_select(axis, after)
        images = torch.cat(parts, axis)
    return images
