"""Discriminators that score overlapping patches, at one or several scales."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import PositiveInt
from torch import Tensor, nn

#: Smallest side in pixels of which one logit remains.
SMALLEST = 24


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
        """Score ``(N, C, H, W)`` images: logits ``(N, 1, H / 8 - 2, W / 8 - 2)``.

        Raises
        ------
        ValueError
            If a side is below 24 pixels.
        """
        height, width = images.shape[-2:]
        if min(height, width) < SMALLEST:
            raise ValueError(
                f"PatchGAN needs at least {SMALLEST} x {SMALLEST} pixels; got {height} x {width}"
            )
        scores: Tensor = self.layers(images)
        return scores

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the maps after each activation, from shallow to deep."""
        return activations(self.layers, images)


class MultiScalePatchGAN(nn.Module):
    """The discriminator of pix2pixHD (Wang et al. 2018): a PatchGAN at each of several scales.

    Each scale sees the images at half the resolution of the one before, averaged over 3 x 3 pixels.
    As the PatchGAN of pix2pix, it has no condition, and normalises over batches; three scales have
    8,296,899 parameters for RGB.

    Parameters
    ----------
    channels
        Channels of the images.
    levels
        Number of scales; 3 in the paper. Images need at least 24 x 24 pixels at the coarsest.
    features
        Channels of the first convolution of each; they are doubled three times.
    """

    def __init__(
        self, *, channels: int, levels: PositiveInt = 3, features: PositiveInt = 64
    ) -> None:
        super().__init__()
        self.patchgans = nn.ModuleList(
            PatchGAN(channels=channels, features=features) for _ in range(levels)
        )
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Score ``(N, C, H, W)`` images: logits of each scale, from fine to coarse."""
        return [patchgan(part) for patchgan, part in self._pyramid(images)]

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the maps after each activation, from fine to coarse scales."""
        pairs = self._pyramid(images)
        return [one for patchgan, part in pairs for one in patchgan.features(part)]

    def _pyramid(self, images: Tensor) -> Iterator[tuple[PatchGAN, Tensor]]:
        """Iterate over the discriminator and the images of each scale."""
        for number, patchgan in enumerate(self.patchgans):
            images = self.halve(images) if number else images
            yield patchgan, images


def activations(layers: Iterable[nn.Module], images: Tensor) -> list[Tensor]:
    """Apply layers in order, and return what each leaky ReLU returns."""
    x, found = images, []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            found.append(x)
    return found


def initialise(layer: nn.Module) -> None:
    """Initialise the weights as in the paper: Gaussian, with a standard deviation of 0.02."""
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
