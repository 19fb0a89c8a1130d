"""Losses on pixels, computed in float32 for any precision of the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from srkit.functional import check_equal_shapes, difference, luma, metric_input, ssim
from srkit.interfaces import Batch

#: All channels, or the luma of RGB images in [0, 1].
Channel = Literal["rgb", "y"]


class _ChannelLoss:
    """A loss on all channels or on luma."""

    def __init__(self, *, channels: int = 3, channel: Channel = "rgb") -> None:
        if channel == "y" and channels != 3:
            raise ValueError(f"channel 'y' needs RGB images; got {channels} channels")
        self.channel = channel

    def _difference(self, sr: Tensor, batch: Batch) -> Tensor:
        if self.channel == "rgb":
            return difference(sr, batch.hr)
        return difference(luma(sr), luma(batch.hr))


class L1(_ChannelLoss):
    """Mean absolute difference.

    Parameters
    ----------
    channel
        ``rgb`` compares all channels; ``y`` the luma of RGB images, for networks that only restore
        luma.

    Raises
    ------
    ValueError
        If `channel` is ``y`` and images are not RGB.
    """

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return self._difference(sr, batch).abs().mean()


class MSE(_ChannelLoss):
    """Mean squared difference.

    Parameters
    ----------
    channel
        ``rgb`` compares all channels; ``y`` the luma of RGB images, for networks that only restore
        luma.

    Raises
    ------
    ValueError
        If `channel` is ``y`` and images are not RGB.
    """

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return self._difference(sr, batch).square().mean()


class Charbonnier:
    """Smooth approximation of L1 (Charbonnier et al. 1994; Lai et al. 2017).

    The mean of sqrt(d^2 + epsilon^2) over the differences d.

    Parameters
    ----------
    epsilon
        Difference in pixel values below which the loss is approximately quadratic.
    """

    def __init__(self, *, epsilon: PositiveFloat = 1e-3) -> None:
        self.epsilon = epsilon

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return (difference(sr, batch.hr).square() + self.epsilon**2).sqrt().mean()


class SSIM:
    """One minus the structural similarity (Wang et al. 2004), which the metric ``ssim`` computes.

    The mean over images and channels. The window is a Gaussian of 11 x 11 pixels within the image.
    """

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        x, y = (metric_input(each, data_range=batch.data_range) for each in (sr, batch.hr))
        return 1 - ssim(x, y).mean()


class MSSSIM(nn.Module):
    """Multi-scale structural similarity and mean absolute difference (Zhao et al. 2017).

    ``alpha * (1 - MS-SSIM) + (1 - alpha) * G * |d|``, where G is the Gaussian of the coarsest scale
    and d the difference over the width of the data range. The scales are Gaussians of 0.5, 1, 2, 4
    and 8 pixels on the full image, which is padded with zeros. Computed by kornia.

    Parameters
    ----------
    alpha
        Weight of the structural similarity, from 0 to 1; 0.84 in the paper.

    References
    ----------
    Zhao, Gallo, Frosio & Kautz, "Loss functions for image restoration with neural networks", IEEE
    Transactions on Computational Imaging 3, 2017.
    """

    def __init__(self, *, alpha: Annotated[float, Field(ge=0, le=1)] = 0.84) -> None:
        super().__init__()
        from kornia.losses import MS_SSIMLoss

        self.mixture = MS_SSIMLoss(alpha=alpha, compensation=1.0)

    def forward(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        check_equal_shapes(sr, batch.hr)
        low = batch.data_range[0]
        loss: Tensor = self.mixture(
            (sr.float() - low) / batch.span, (batch.hr.float() - low) / batch.span
        )
        return loss


class TotalVariation:
    """Mean absolute difference of vertical and horizontal neighbours in SR (Rudin et al. 1992).

    A weak prior for smooth images, which does not use HR. Computed by kornia.
    """

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images: a scalar, in the unit of the images."""
        from kornia.losses import total_variation

        variation: Tensor = total_variation(sr.float(), reduction="mean")
        return variation.mean()


class GaussianNLL:
    """Negative log-likelihood of HR under a Gaussian around SR with the predicted variance.

    The mean of (log v + d^2 / v) / 2 over the differences d and variances v, in nat, without the
    constant log(2 pi) / 2 (Nix & Weigend 1994). It trains both SR and the variance head, which
    `uncertainty` in the recipe adds. Unlike torch's GaussianNLLLoss it takes the logarithm of the
    variance, so that no variance has to be clipped.

    Parameters
    ----------
    beta
        Pixels are weighted by v^beta, without gradient (Seitzer et al. 2022). 0 is the likelihood
        itself, which neglects uncertain pixels; 1 trains SR like the squared error; the paper
        recommends 0.5.

    References
    ----------
    Seitzer, Tavakoli, Antic & Martius, "On the pitfalls of heteroscedastic uncertainty estimation
    with probabilistic neural networks", ICLR 2022.
    """

    needs_variance = True

    def __init__(self, *, beta: Annotated[float, Field(ge=0, le=1)] = 0.0) -> None:
        self.beta = beta

    def __call__(self, sr: Tensor, log_variance: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        squares = difference(sr, batch.hr).square()
        log_variance = log_variance.float()
        likelihood = (log_variance + squares * (-log_variance).exp()) / 2
        return (likelihood * (self.beta * log_variance.detach()).exp()).mean()
