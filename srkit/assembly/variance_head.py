"""The head that predicts the variance of SR about HR, for any generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Smallest variance that is predicted; a flat background would drive it towards 0.
FLOOR = 1e-8

#: Standard deviation that an untrained head predicts for every pixel.
FIRST_SIGMA = 0.05


class VarianceHead(nn.Module):
    """Four convolutions from LR and SR to the log variance of each SR pixel and channel.

    Both inputs have values of order 1, as networks see them. SR has no gradient, so that the head
    does not change the generator. The logarithm is predicted as by Kendall & Gal (2017). `ema`
    does not average the head: an average started together with it would long be dominated by its
    untrained weights.

    Parameters
    ----------
    channels
        Channels of the images.
    features
        Channels of the hidden layers.

    References
    ----------
    Nix & Weigend, "Estimating the mean and variance of the target probability distribution",
    ICNN 1994; Kendall & Gal, "What uncertainties do we need in Bayesian deep learning for computer
    vision?", NeurIPS 2017.
    """

    def __init__(self, *, channels: int, features: int) -> None:
        super().__init__()
        self.features = features
        self.body = nn.Sequential(
            nn.Conv2d(2 * channels, features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.ReLU(),
        )
        self.tail = nn.Conv2d(features, channels, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.constant_(self.tail.bias, 2 * math.log(FIRST_SIGMA))  # type: ignore[arg-type]

    def forward(self, lr: Tensor, sr: Tensor) -> Tensor:
        """Predict the natural logarithm of the variance, in the unit of SR squared.

        Parameters
        ----------
        lr
            ``(N, C, h, w)``.
        sr
            The output of the generator, ``(N, C, H, W)``.

        Returns
        -------
        Tensor
            ``(N, C, H, W)`` float32, at least the logarithm of :data:`FLOOR`.
        """
        enlarged = F.interpolate(lr, size=sr.shape[-2:], mode="bilinear")
        found = self.body(torch.cat([enlarged, sr.detach().to(enlarged)], 1))
        with torch.autocast(found.device.type, enabled=False):  # bf16 is too coarse for a logarithm
            logarithm = self.tail(found.float())
            return torch.logaddexp(logarithm, logarithm.new_tensor(math.log(FLOOR)))
