"""A small discriminator, for the checks of games and of losses that read the discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.testing._requirements import noise


class SmallCritic(nn.Module):
    """A discriminator of two convolutions with given weights, whose logits are near 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Parameter(noise(8, channels, 3, 3, seed=3) - 0.5)
        self.tail = nn.Parameter(noise(1, 8, 3, 3, seed=4) - 0.5)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the map between the convolutions."""
        return [F.softplus(F.conv2d(images, self.head))]

    def forward(self, images: Tensor) -> Tensor:
        """Return a map of logits."""
        logits: Tensor = torch.tanh(F.conv2d(self.features(images)[0], self.tail))
        return logits
