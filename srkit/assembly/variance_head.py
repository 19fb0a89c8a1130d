"""The head that predicts the variance of SR about HR, for any generator."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

#: Smallest variance that is predicted; a flat background would drive it towards 0.
FLOOR = 1e-8

#: The correction is a line through so many points. They are medians of bins, of which the brightest
#: are half as large as the one before, and none has fewer pixels than this.
KNOTS, LEAST_PIXELS = 10, 100

#: Probability that a normal variable lies within one standard deviation of its mean.
ONE_SIGMA = 2 * NormalDist().cdf(1) - 1

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

    knots: Tensor
    corrections: Tensor

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
        self.register_buffer("knots", torch.arange(float(KNOTS)))
        self.register_buffer("corrections", torch.zeros(KNOTS))

    def forward(self, lr: Tensor, sr: Tensor) -> Tensor:
        """Predict the natural logarithm of the variance, in the unit of SR squared.

        In evaluation mode, the correction is added, see :meth:`fit_correction`.

        Parameters
        ----------
        lr
            ``(N, C, h, w)``.
        sr
            The output of the generator, ``(N, C, H, W)``.

        Returns
        -------
        Tensor
            ``(N, C, H, W)`` float32; without correction at least the logarithm of :data:`FLOOR`.
        """
        raw = self.uncorrected(lr, sr)
        if self.training:
            return raw
        key = self.key(sr, raw)
        result, rises = raw + self.corrections[0], self.corrections.diff()
        for start, width, rise in zip(self.knots, self.knots.diff(), rises, strict=False):
            result = result + rise * ((key - start) / width).clamp(0, 1)
        return result

    def key(self, sr: Tensor, raw: Tensor) -> Tensor:
        """Return the logarithm of the squared signal-to-noise, by SR and its log variance."""
        return sr.detach().float().square().clamp_min(FLOOR).log() - raw

    def fit_correction(self, keys: NDArray[np.float32], pulls: NDArray[np.float32]) -> None:
        """Correct standard deviations by signal-to-noise, so that 68.3 % of errors are within one.

        In each bin of the key, the factor is the quantile of the absolute errors over the standard
        deviations (conformal prediction; Lei et al. 2018, JASA 113, 1094).

        Parameters
        ----------
        keys, pulls
            ``(P,)``: :meth:`key`, and absolute errors over uncorrected standard deviations.
        """
        order = np.argsort(keys, kind="stable")
        shares = [0, 0.25, *(1 - 0.5**n for n in range(1, KNOTS - 2)), 1]
        ends = [round(share * len(keys)) for share in shares]
        while len(ends) > 2 and ends[-1] - ends[-2] < LEAST_PIXELS:
            del ends[-2]
        bins = [order[start:end] for start, end in pairwise(ends)]
        knots = [float(np.median(keys[each])) for each in bins]
        factors = [float(np.quantile(pulls[each], ONE_SIGMA)) for each in bins]
        while len(knots) < KNOTS:
            knots.append(knots[-1] + 1)
            factors.append(factors[-1])
        # Equal keys, as of flat images, still need rising knots.
        rising = np.maximum.accumulate(knots) + 1e-3 * np.arange(KNOTS)
        self.knots.copy_(torch.from_numpy(rising))
        self.corrections.copy_(torch.tensor(factors).clamp_min(1e-6).log() * 2)

    def uncorrected(self, lr: Tensor, sr: Tensor) -> Tensor:
        """Predict the log variance as the head was trained to, see :meth:`forward`."""
        enlarged = F.interpolate(lr, size=sr.shape[-2:], mode="bilinear")
        found = self.body(torch.cat([enlarged, sr.detach().to(enlarged)], 1))
        with torch.autocast(found.device.type, enabled=False):  # bf16 is too coarse for a logarithm
            logarithm = self.tail(found.float())
            return torch.logaddexp(logarithm, logarithm.new_tensor(math.log(FLOOR)))
