"""A discriminator that scores every pixel."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm


class UNetSN(nn.Module):
    """The U-Net with spectral normalisation of Real-ESRGAN (Wang et al. 2021).

    4,376,897 parameters, as in the released RealESRGAN_x4plus_netD. Its tensors have the published
    names, so that the released discriminators load.

    Parameters
    ----------
    channels
        Channels of the images.
    features
        Channels of the first convolution; they double three times on the way down.
    """

    def __init__(self, *, channels: int, features: PositiveInt = 64) -> None:
        super().__init__()
        f = features
        self.conv0 = nn.Conv2d(channels, f, 3, padding=1)
        self.conv1 = halving(f, 2 * f)
        self.conv2 = halving(2 * f, 4 * f)
        self.conv3 = halving(4 * f, 8 * f)
        self.conv4 = keeping(8 * f, 4 * f)
        self.conv5 = keeping(4 * f, 2 * f)
        self.conv6 = keeping(2 * f, f)
        self.conv7 = keeping(f, f)
        self.conv8 = keeping(f, f)
        self.conv9 = nn.Conv2d(f, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Score ``(N, C, H, W)`` images: logits ``(N, 1, H, W)``."""
        x0 = activate(self.conv0(images))
        x1 = activate(self.conv1(x0))
        x2 = activate(self.conv2(x1))
        x = activate(self.conv3(x2))
        for layer, skip in ((self.conv4, x2), (self.conv5, x1), (self.conv6, x0)):
            # To the size of the skip connection: sides need not be multiples of 8.
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = activate(layer(x)) + skip
        scores: Tensor = self.conv9(activate(self.conv8(activate(self.conv7(x)))))
        return scores


def halving(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a spectrally normalised convolution that halves the size."""
    return normalised(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False))


def keeping(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a spectrally normalised convolution that keeps the size."""
    return normalised(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))


def normalised(layer: nn.Conv2d) -> nn.Conv2d:
    """Divide the weights by their largest singular value (Miyato et al. 2018).

    The older of torch's two functions, since it keeps the published tensor names.
    """
    wrapped: nn.Conv2d = spectral_norm(layer)
    return wrapped


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU."""
    return F.leaky_relu(x, 0.2, inplace=True)
