"""The swift parameter-free attention network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.errors import WeightsError
from srkit_generators.layers import Network, Rules, check_scale, conv, mean_colour, renamed
from srkit_generators.upsamplers import shuffle_directly

#: The authors' network works on values up to 255.
RANGE = 255
#: Keys of the authors' code.
OFFICIAL: Rules = (
    (r"^conv_1\.", "head."),
    (r"^conv_2\.", "body_end."),
    (r"^conv_cat\.", "fuse."),
    (r"^upsampler\.0\.", "upsample.conv0."),
    (r"^block_(\d+)\.c(\d)_r\.", lambda match: f"body.{int(match[1]) - 1}.conv{match[2]}."),
    (r"\.sk\.", ".skip."),
    (r"\.conv\.0\.", ".expand."),
    (r"\.conv\.1\.", ".conv."),
    (r"\.conv\.2\.", ".reduce."),
)


class SPAN(Network):
    """Swift parameter-free attention network (Wan et al. 2024, CVPRW).

    Each block weighs its features by their own sigmoid, without parameters for the attention. Each
    3 x 3 convolution is trained as a sum of a product of three convolutions and a 1 x 1
    convolution, see :class:`FusedConv`. The paper counts the fused convolutions: 426,288
    parameters at x4, 410,700 at x2; with 52 features, 498,208 and 481,324. In training, the
    defaults have 1,840,488 at x4.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Number of blocks.
    features
        Channels of the trunk.
    normalise
        Whether to multiply values by 255 and to centre RGB images by the mean colour of DIV2K, as
        the authors do; many third-party weights do not.

    Raises
    ------
    ValueError
        If the scale is not supported.
    """

    name = "span"
    parts = ("head", "body", "body_end", "fuse", "upsample")
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: PositiveInt = 6,
        features: PositiveInt = 48,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        check_scale("span", scale, (1, 2, 3, 4, 8))
        self.scale = scale
        self.channels = channels
        self.normalise = normalise
        self.register_buffer("mean", mean_colour(channels, subtract=channels == 3), False)
        self.head = FusedConv(channels, features)
        self.body = nn.Sequential(*(SelfWeighted(features) for _ in range(blocks)))
        self.body_end = FusedConv(features, features)
        self.fuse = conv(4 * features, features, kernel=1)
        self.upsample, self.tail = shuffle_directly(scale, features, channels)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        shallow = self.head((lr - self.mean) * RANGE if self.normalise else lr)
        x, outputs = shallow, []
        for block in self.body:
            x, inner = block(x)
            outputs.append(x)
        fused = self.fuse(torch.cat((shallow, self.body_end(x), outputs[0], inner), 1))
        sr: Tensor = self.tail(self.upsample(fused))
        return sr

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network or of the authors' code.

        Raises
        ------
        WeightsError
            If no key belongs to the network, or it was trained with the other `normalise`.
        """
        if "conv_cat.weight" in tensors:
            if self.normalise == ("no_norm" in tensors):
                wanted = str(not self.normalise).lower()
                kind = "without" if self.normalise else "on"
                raise WeightsError(
                    f"these weights were trained {kind} normalised images; set "
                    f"generator.normalise={wanted}"
                )
            # Copies of the fused convolutions, which are computed here.
            own = {
                name: tensor
                for name, tensor in tensors.items()
                if ".eval_conv." not in name and name != "no_norm"
            }
            tensors = renamed(own, OFFICIAL)
        return super().adapt(tensors)


class FusedConv(nn.Module):
    """A 3 x 3 convolution whose kernel is a product of kernels, plus a 1 x 1 kernel.

    It equals convolutions of 1 x 1, 3 x 3 and 1 x 1 in sequence, beside a convolution of 1 x 1
    (Wan et al. 2024, section 3.4), but is computed by one convolution, in training too.

    Parameters
    ----------
    inputs, outputs
        Channels.
    gain
        Factor of the channels between the convolutions.
    """

    def __init__(self, inputs: int, outputs: int, gain: int = 2) -> None:
        super().__init__()
        self.skip = conv(inputs, outputs, kernel=1)
        self.expand = conv(inputs, gain * inputs, kernel=1)
        self.conv = conv(gain * inputs, gain * outputs)
        self.reduce = conv(gain * outputs, outputs, kernel=1)

    def fused(self) -> tuple[Tensor, Tensor]:
        """Return the kernel, ``(outputs, inputs, 3, 3)``, and the bias, ``(outputs,)``."""
        first, last = self.expand.weight[:, :, 0, 0], self.reduce.weight[:, :, 0, 0]
        kernel = torch.einsum("om,mnhw,ni->oihw", last, self.conv.weight, first)
        biases = [layer.bias for layer in (self.expand, self.conv, self.reduce, self.skip)]
        expanded, inner, reduced, skipped = (bias for bias in biases if bias is not None)
        inner = self.conv.weight.sum((2, 3)) @ expanded + inner
        return kernel + F.pad(self.skip.weight, (1, 1, 1, 1)), last @ inner + reduced + skipped

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(N, inputs, H, W)`` features with zero padding."""
        return F.conv2d(x, *self.fused(), padding=1)


class SelfWeighted(nn.Module):
    """Three convolutions, and a residual sum weighted by their output (Wan et al. 2024, SPAB)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = FusedConv(features, features)
        self.conv2 = FusedConv(features, features)
        self.conv3 = FusedConv(features, features)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Refine ``(N, features, H, W)`` features; return them and those of the first layer."""
        first = F.silu(self.conv1(x))
        last = self.conv3(F.silu(self.conv2(first)))
        return (last + x) * (torch.sigmoid(last) - 0.5), first
