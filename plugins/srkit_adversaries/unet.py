"""A discriminator that scores every pixel."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm


class UNetSN(nn.Module):
    """The U-Net with spectral normalisation of Real-ESRGAN (Wang et al. 2021).

    It has 4,376,897 parameters, like the released RealESRGAN_x4plus_netD. Its tensors have the
    published names, so that the released discriminators can be loaded.

    Parameters
    ----------
    channels
        Channels of the images.
    features
        Channels of the first convolution; they are doubled three times in the encoder.
    """

    def __init__(self, *, channels: int, features: PositiveInt = 64) -> None:
        super().__init__()
        f = features
        self.conv0 = nn.Conv2d(channels, f, 3, padding=1)
        self.conv1 = convolution(f, 2 * f, stride=2)
        self.conv2 = convolution(2 * f, 4 * f, stride=2)
        self.conv3 = convolution(4 * f, 8 * f, stride=2)
        self.conv4 = convolution(8 * f, 4 * f)
        self.conv5 = convolution(4 * f, 2 * f)
        self.conv6 = convolution(2 * f, f)
        self.conv7 = convolution(f, f)
        self.conv8 = convolution(f, f)
        self.conv9 = nn.Conv2d(f, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Score ``(N, C, H, W)`` images: logits ``(N, 1, H, W)``."""
        x = self.features(images)[-1]
        scores: Tensor = self.conv9(activate(self.conv8(activate(self.conv7(x)))))
        return scores

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the maps of the encoder, then those of the decoder with what they skip."""
        x0 = activate(self.conv0(images))
        x1 = activate(self.conv1(x0))
        x2 = activate(self.conv2(x1))
        x = activate(self.conv3(x2))
        maps = [x0, x1, x2, x]
        for layer, skip in ((self.conv4, x2), (self.conv5, x1), (self.conv6, x0)):
            # To the size of the skip, not twice the size: sides may not be multiples of 8.
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = activate(layer(x)) + skip
            maps.append(x)
        return maps


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution with spectral normalisation (Miyato et al. 2018).

    It uses the older of the two functions of torch, which gives tensors their published names.
    """
    side = 3 if stride == 1 else 4
    layer = nn.Conv2d(inputs, outputs, side, stride, padding=1, bias=False)
    normalised: nn.Conv2d = spectral_norm(layer)
    return normalised


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU."""
    return F.leaky_relu(x, 0.2, inplace=True)
