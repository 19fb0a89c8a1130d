"""Losses on spatial frequencies, computed in float32 for any precision of the network."""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from srkit.functional import difference
from srkit.interfaces import Batch


class FFT:
    """Mean absolute difference of the Fourier coefficients (Cho et al. 2021).

    The mean over the real and imaginary parts of all frequencies. The transform is normalised
    orthogonally, so that the loss of white noise does not depend on the size of the image; the
    paper's is not normalised.

    References
    ----------
    Cho, Ji, Hong, Jung & Ko, "Rethinking coarse-to-fine approach in single image deblurring", ICCV
    2021.
    """

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        coefficients = torch.fft.fft2(difference(sr, batch.hr), norm="ortho")
        return torch.view_as_real(coefficients).abs().mean()


class FocalFrequency:
    """Squared difference of the Fourier coefficients, of which the largest weigh most.

    The mean of w |d|^2 over the differences d of the coefficients of each image and channel, where
    w = |d|^alpha over its maximum, without gradient (Jiang et al. 2021). The
    transform is normalised orthogonally.

    Parameters
    ----------
    alpha
        Exponent of the weights: 0 weighs all frequencies equally.
    patches
        Parts into which each side is divided, each of which is transformed by itself; both sides
        have to be multiples of it.

    References
    ----------
    Jiang, Dai, Wu & Loy, "Focal frequency loss for image reconstruction and synthesis", ICCV 2021.
    """

    def __init__(self, *, alpha: NonNegativeFloat = 1.0, patches: PositiveInt = 1) -> None:
        self.alpha = alpha
        self.patches = patches

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar.

        Raises
        ------
        ValueError
            If a side is not a multiple of `patches`.
        """
        error = self._divided(difference(sr, batch.hr))
        squares = torch.view_as_real(torch.fft.fft2(error, norm="ortho")).square().sum(-1)
        weights = squares.detach() ** (self.alpha / 2)
        largest = weights.amax((-2, -1), keepdim=True)
        return (weights / largest.where(largest > 0, 1) * squares).mean()

    def _divided(self, images: Tensor) -> Tensor:
        """Move the patches of images into a dimension of their own."""
        height, width = images.shape[-2:]
        if height % self.patches or width % self.patches:
            raise ValueError(
                f"focal_frequency: {height} x {width} pixels cannot be divided into "
                f"{self.patches} x {self.patches} patches"
            )
        rows = images.unflatten(-2, (self.patches, -1)).unflatten(-1, (self.patches, -1))
        return rows.transpose(-3, -2)
