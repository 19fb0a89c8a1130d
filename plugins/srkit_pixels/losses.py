"""Losses on pixels, in float32 whatever precision the network runs in."""

from __future__ import annotations

from pydantic import PositiveFloat
from torch import Tensor

from srkit.interfaces import Batch
from srkit.metrics import difference


class L1:
    """Mean absolute difference."""

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return difference(sr, batch.hr).abs().mean()


class MSE:
    """Mean squared difference."""

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return difference(sr, batch.hr).square().mean()


class Charbonnier:
    """Smooth relative of the mean absolute difference (Charbonnier et al. 1994; Lai et al. 2017).

    The mean of sqrt(d^2 + epsilon^2) over the differences d.

    Parameters
    ----------
    epsilon
        Difference, in pixel values, below which the loss turns from linear to quadratic.
    """

    def __init__(self, *, epsilon: PositiveFloat = 1e-3) -> None:
        self.epsilon = epsilon

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return (difference(sr, batch.hr).square() + self.epsilon**2).sqrt().mean()
