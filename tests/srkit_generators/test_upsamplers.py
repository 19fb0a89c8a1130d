from __future__ import annotations

from typing import get_args

import pytest
import torch
from srkit_generators.upsamplers import Upsampler, make_upsampler, start_as_nearest
from torch import nn
from torch.nn import functional as F

KINDS = get_args(Upsampler)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_enlarges_odd_sizes(kind: Upsampler, scale: int) -> None:
    x = torch.randn(1, 4, 5, 3)
    enlarged = make_upsampler(scale, 4, kind)(x)
    assert enlarged.shape == (1, 4, 5 * scale, 3 * scale)
    if scale == 1:
        assert torch.equal(enlarged, x)


@pytest.mark.parametrize("kind", KINDS)
def test_an_activation_follows_each_enlargement(kind: Upsampler) -> None:
    layers = make_upsampler(4, 6, kind, "prelu")
    names = [name for name, _ in layers.named_children()]
    places = [names.index(f"activation{i}") for i in range(2)]
    assert places == [len(names) // 2 - 1, len(names) - 1]
    assert [p.numel() for p in layers.get_submodule("activation1").parameters()] == [6]


@pytest.mark.parametrize("step", [2, 3])
def test_icnr_starts_as_nearest_neighbour_interpolation(step: int) -> None:
    """No checkerboard: all pixels of a cell equal the convolution at the size of LR."""
    torch.manual_seed(0)
    layers = make_upsampler(step, 5, "icnr")
    x = torch.randn(2, 5, 6, 7)
    layer = layers.get_submodule("conv0")
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    small = F.conv2d(x, layer.weight[:: step**2], layer.bias[:: step**2], padding=1)
    torch.testing.assert_close(layers(x), F.interpolate(small, scale_factor=step, mode="nearest"))
    plain = make_upsampler(step, 5)(x)
    assert not torch.allclose(plain[..., ::step, ::step], plain[..., 1::step, 1::step])


def test_icnr_keeps_the_spread_of_the_weights() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 128, 3)
    before = layer.weight.std().item()
    start_as_nearest(layer, 2)
    assert layer.weight.std().item() == pytest.approx(before, rel=0.02)
    assert len(layer.weight.detach().flatten(1).unique(dim=0)) == 32


@pytest.mark.parametrize("step", [2, 3])
def test_a_transposed_convolution_can_equal_any_sub_pixel_convolution(step: int) -> None:
    """Both have the same receptive field and number of weights (Shi et al., arXiv:1609.07009)."""
    torch.manual_seed(0)
    shuffled = make_upsampler(step, 4, "pixel_shuffle")
    transposed = make_upsampler(step, 4, "transposed")
    sub_pixel, layer = shuffled.get_submodule("conv0"), transposed.get_submodule("conv0")
    assert isinstance(sub_pixel, nn.Conv2d) and isinstance(layer, nn.ConvTranspose2d)
    assert sub_pixel.weight.numel() == layer.weight.numel()
    with torch.no_grad():
        sub_pixel.bias.zero_()
        layer.bias.zero_()
        # Output pixel (a, b) of a cell sees the neighbour (i, j) through the kernel's
        # (a + step (2 - i), b + step (2 - j)).
        parts = sub_pixel.weight.view(4, step, step, 4, 3, 3).flip(4, 5)
        kernel = parts.permute(3, 0, 4, 1, 5, 2).reshape(4, 4, 3 * step, 3 * step)
        layer.weight.copy_(kernel)
    x = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(transposed(x), shuffled(x))


def test_nearest_repeats_then_convolves() -> None:
    layers = make_upsampler(3, 4, "nearest")
    x = torch.randn(1, 4, 5, 6)
    repeated = x.repeat_interleave(3, 2).repeat_interleave(3, 3)
    torch.testing.assert_close(layers(x), layers.get_submodule("conv0")(repeated))


def test_bilinear_puts_pixels_on_the_line_between_their_neighbours() -> None:
    """A ramp stays a ramp, sampled at the centres of the smaller pixels."""
    layers = make_upsampler(4, 2, "bilinear")
    for name in ("conv0", "conv1"):
        layer = layers.get_submodule(name)
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        nn.init.dirac_(layer.weight)
        nn.init.zeros_(layer.bias)
    ramp = torch.arange(8.0).expand(1, 2, 5, 8)
    centres = (torch.arange(32) + 0.5) / 4 - 0.5
    torch.testing.assert_close(layers(ramp)[..., 8, 6:-6], centres[6:-6].expand(1, 2, -1))
