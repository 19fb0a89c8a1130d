"""The first convolutional network for super-resolution."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn

from srkit.functional import luma, resize
from srkit_generators.layers import (
    Activation,
    Network,
    change_luminance,
    check_luminance,
    check_scale,
    make_activation,
)


class SRCNN(Network):
    """Three convolutions on a bicubically enlarged image (Dong et al. 2014, 2016).

    The defaults are the paper's 9-1-5; ``kernels: [9, 5, 5]`` is its largest. On luminance
    (one channel, or ``luminance: true``) they have 8,032 and 57,184 weights without biases, as in
    the paper. Two variants for RGB: ``kernels: [5, 3, 9], features: [64, 128]`` with
    109,827 parameters, and
    ``kernels: [5, 3, 5], features: [64, 128], shuffle: 2, residual: true, activation: leaky_relu``
    with 81,123. The image is padded by repeating its border, as in the authors' code.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    kernels
        Sides of the three convolutions, odd numbers of pixels.
    features
        Channels after the first and second convolution.
    activation
        Activation after the first two convolutions.
    shuffle
        Factor of a pixel shuffle before the last convolution; the bicubic enlargement is smaller
        by it. It divides the scale, and its square divides the features.
    residual
        Whether to add the bicubically enlarged image to the output.
    luminance
        Whether to restore only the Y of RGB photographs in [0, 1], as in the paper; the chroma
        is the bicubically enlarged one.

    Raises
    ------
    ValueError
        If the scale is not supported, a kernel is even, `shuffle` does not fit, or `luminance` is
        set for other than RGB images.
    """

    name = "srcnn"
    parts = ("extraction", "mapping", "reconstruction")

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        kernels: tuple[PositiveInt, PositiveInt, PositiveInt] = (9, 1, 5),
        features: tuple[PositiveInt, PositiveInt] = (64, 32),
        activation: Activation = "relu",
        shuffle: PositiveInt = 1,
        residual: bool = False,
        luminance: bool = False,
    ) -> None:
        super().__init__()
        check_scale("srcnn", scale, (1, 2, 3, 4, 8))
        check_shapes(kernels, features, shuffle, scale)
        if luminance:
            check_luminance(channels)
        self.scale = scale
        self.channels = channels
        self.shuffle = shuffle
        self.residual = residual
        self.luminance = luminance
        seen = 1 if luminance else channels
        self.extraction = nn.Sequential(
            replicating(seen, features[0], kernels[0]),
            make_activation(activation, features[0]),
        )
        self.mapping = nn.Sequential(
            replicating(features[0], features[1], kernels[1]),
            make_activation(activation, features[1]),
            nn.PixelShuffle(shuffle),
        )
        self.reconstruction = replicating(features[1] // shuffle**2, seen, kernels[2])

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        smaller = resize(lr, factor=self.scale // self.shuffle)
        seen = luma(smaller) if self.luminance else smaller
        sr: Tensor = self.reconstruction(self.mapping(self.extraction(seen)))
        if not (self.residual or self.luminance):
            return sr
        enlarged = smaller if self.shuffle == 1 else resize(lr, factor=self.scale)
        if not self.luminance:
            return sr + enlarged
        return change_luminance(enlarged, sr if self.residual else sr - luma(enlarged))


def check_shapes(
    kernels: tuple[int, ...], features: tuple[int, ...], shuffle: int, scale: int
) -> None:
    """Check that the shapes keep the size of the image.

    Raises
    ------
    ValueError
        If a kernel is even, or `shuffle` does not fit the scale or the features.
    """
    for kernel in kernels:
        if kernel % 2 == 0:
            raise ValueError(f"kernels: {kernel} is even; expected odd numbers")
    if scale % shuffle:
        raise ValueError(f"shuffle: {shuffle} does not divide the scale {scale}")
    if features[1] % shuffle**2:
        raise ValueError(
            f"features: {features[1]} cannot be shuffled by {shuffle}; expected a multiple of "
            f"{shuffle**2}"
        )


def replicating(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """Make a convolution that keeps the size, with replicate padding."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="replicate")
