"""The head that predicts how far SR is from HR, beside a generator of any kind."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Smallest variance that is predicted, so that a flat background cannot drive it to nothing.
FLOOR = 1e-8

#: Standard deviation that a head predicts of everything before it is trained.
FIRST_SIGMA = 0.05


class VarianceHead(nn.Module):
    """Four convolutions from LR and SR to the log variance of each SR pixel and channel.

    It sees both as the generator does, with values of order 1, and SR without its gradient: what
    it learns leaves the generator as it is. Kendall & Gal (2017) predict the logarithm, too. Its
    weights are not averaged where the recipe has `ema`: an average begun with the head would
    remember for long what the head said before it knew anything.

    Parameters
    ----------
    channels
        Channels of the images.
    features
        Channels between the convolutions.

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
            What the generator made of it, ``(N, C, H, W)``.

        Returns
        -------
        Tensor
            ``(N, C, H, W)`` float32, at least the logarithm of :data:`FLOOR`.
        """
        enlarged = F.interpolate(lr, size=sr.shape[-2:], mode="bilinear")
        found = self.body(torch.cat([enlarged, sr.detach().to(enlarged)], 1))
        with torch.autocast(found.device.type, enabled=False):  # a bf16 logarithm is too coarse
            logarithm = self.tail(found.float())
            return torch.logaddexp(logarithm, logarithm.new_tensor(math.log(FLOOR)))
