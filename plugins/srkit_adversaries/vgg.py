"""VGG-like discriminators, with one score per image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pydantic import PositiveInt
from torch import Tensor, nn

from srkit_adversaries.patch import activations


class ImageScore(nn.Module):
    """Convolutions that halve the image several times, followed by two linear layers.

    Parameters
    ----------
    channels
        Channels of the images.
    widths
        Channels of the convolutions, one number per halving.
    kernel
        Side of the strided convolutions.
    side
        Side that the last feature maps are pooled to.
    hidden
        Width of the first linear layer.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], *, kernel: int, side: int, hidden: int
    ) -> None:
        super().__init__()
        layers = [nn.Conv2d(channels, widths[0], 3, padding=1), activation()]
        layers += normalised(widths[0], widths[0], kernel, stride=2)
        for inputs, outputs in pairwise(widths):
            layers += normalised(inputs, outputs, 3, stride=1)
            layers += normalised(outputs, outputs, kernel, stride=2)
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(side),
            nn.Flatten(),
            nn.Linear(widths[-1] * side**2, hidden),
            activation(),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Score ``(N, C, H, W)`` images: logits ``(N, 1)``."""
        scores: Tensor = self.head(self.trunk(images))
        return scores

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the maps after each activation of the convolutions, from shallow to deep."""
        return activations(self.trunk, images)


class SRGAN(ImageScore):
    """The discriminator of SRGAN (Ledig et al. 2017), without its sigmoid: it returns logits.

    The last feature maps are pooled to 6 x 6, their size for crops of 96 pixels as in the paper, so
    that images of any size from 32 pixels can be scored. It has 23,563,649 parameters: those of
    krasserm/super-resolution (the authors' code is not public) without 1,856 biases before batch
    normalisation, which have no effect.

    Parameters
    ----------
    channels
        Channels of the images.
    features
        Channels of the first convolution; they are doubled three times.
    """

    def __init__(self, *, channels: int, features: PositiveInt = 64) -> None:
        widths = [features * factor for factor in (1, 2, 4, 8)]
        super().__init__(channels, widths, kernel=3, side=6, hidden=1024)


class ESRGAN(ImageScore):
    """The discriminator that ESRGAN (Wang et al. 2018) was trained with.

    The last feature maps are pooled to 4 x 4, their size for crops of 128 pixels as in the paper,
    so that images of any size from 64 pixels can be scored. It has 14,499,401 parameters, like the
    authors' VGGStyleDiscriminator in BasicSR.

    Parameters
    ----------
    channels
        Channels of the images.
    features
        Channels of the first convolution; they are doubled three times.
    """

    def __init__(self, *, channels: int, features: PositiveInt = 64) -> None:
        widths = [features * factor for factor in (1, 2, 4, 8, 8)]
        super().__init__(channels, widths, kernel=4, side=4, hidden=100)


def normalised(inputs: int, outputs: int, kernel: int, *, stride: int) -> list[nn.Module]:
    """Return a convolution without bias, batch normalisation and a leaky ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), activation()]


def activation() -> nn.Module:
    """Return the leaky ReLU of both papers."""
    return nn.LeakyReLU(0.2, inplace=True)
