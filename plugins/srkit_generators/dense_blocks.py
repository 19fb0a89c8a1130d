"""Dense blocks: each convolution sees the outputs of all preceding ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srkit_generators.layers import Activation, conv, make_activation

#: Weight of each residual branch of ESRGAN's blocks, and of their initial weights.
RESIDUAL = 0.2
INITIAL = 0.1


class ResidualDenseBlock(nn.Module):
    """The block of RDN (Zhang et al. 2018, section 3.2).

    Convolutions that each append `growth` channels to all preceding ones, and a 1 x 1 convolution
    that fuses them, as a residual branch.

    Parameters
    ----------
    features
        Channels of the input and the output.
    growth
        Channels that each convolution appends.
    layers
        Number of those convolutions.
    activation
        Activation after each of them.
    weight
        Weight of the residual branch.
    """

    def __init__(
        self,
        features: int,
        *,
        growth: int,
        layers: int,
        activation: Activation = "relu",
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.convs = nn.ModuleList(conv(features + i * growth, growth) for i in range(layers))
        self.activations = nn.ModuleList(make_activation(activation, growth) for _ in self.convs)
        self.fuse = conv(features + layers * growth, features, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features."""
        seen = x
        for layer, activate in zip(self.convs, self.activations, strict=True):
            seen = torch.cat((seen, activate(layer(seen))), 1)
        return torch.add(x, self.fuse(seen), alpha=self.weight)


class DenseBlock(nn.Module):
    """The residual block of five convolutions of ESRGAN (Wang et al. 2018, figure 4).

    Parameters
    ----------
    features
        Channels of the input and the output.
    growth
        Channels that each convolution except the last appends.
    activation
        Activation after each of these.
    """

    def __init__(self, features: int, growth: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.conv1 = conv(features, growth)
        self.conv2 = conv(features + growth, growth)
        self.conv3 = conv(features + 2 * growth, growth)
        self.conv4 = conv(features + 3 * growth, growth)
        self.conv5 = conv(features + 4 * growth, features)
        self.activations = nn.ModuleList(make_activation(activation, growth) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features."""
        seen = x
        layers = (self.conv1, self.conv2, self.conv3, self.conv4)
        for layer, activate in zip(layers, self.activations, strict=True):
            seen = torch.cat((seen, activate(layer(seen))), 1)
        return torch.add(x, self.conv5(seen), alpha=RESIDUAL)


class ResidualInResidual(nn.Module):
    """The residual-in-residual dense block of ESRGAN: three dense blocks as a residual branch.

    Parameters
    ----------
    features, growth, activation
        See :class:`DenseBlock`.
    """

    def __init__(self, features: int, growth: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth, activation)
        self.rdb2 = DenseBlock(features, growth, activation)
        self.rdb3 = DenseBlock(features, growth, activation)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features."""
        return torch.add(x, self.rdb3(self.rdb2(self.rdb1(x))), alpha=RESIDUAL)


def shrink_initial_weights(block: nn.Module) -> None:
    """Draw small initial weights for stable training (Wang et al. 2018, section 3.1)."""
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            assert layer.bias is not None
            with torch.no_grad():
                layer.weight.mul_(INITIAL)
                layer.bias.zero_()
