"""A discriminator that scores overlapping patches."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn


class PatchGAN(nn.Module):
    """The 70 x 70 discriminator of pix2pix (Isola et al. 2017), without its condition.

    It has 2,765,633 parameters for RGB, and 2,768,705 for 6 channels, like the authors' code for an
    image and its condition.

    Parameters
    ----------
    channels
        Channels of the images.
    features
        Channels of the first convolution; they are doubled three times.
    """

    def __init__(self, *, channels: int, features: PositiveInt = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, features, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for i, stride in enumerate((2, 2, 1)):
            width = features * 2**i
            layers += [
                nn.Conv2d(width, 2 * width, 4, stride, padding=1, bias=False),
                nn.BatchNorm2d(2 * width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * features, 1, 4, padding=1))
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Score ``(N, C, H, W)`` images: logits ``(N, 1, H / 8 - 2, W / 8 - 2)``."""
        scores: Tensor = self.layers(images)
        return scores


def initialise(layer: nn.Module) -> None:
    """Initialise the weights as in the paper: Gaussian, with a standard deviation of 0.02."""
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
