from __future__ import annotations

from typing import Any

import pytest
import torch
from published_networks import check_against, count, disturb
from spandrel.architectures.SPAN import SPAN as THEIRS
from srkit_generators.span import SPAN, FusedConv
from torch.nn import functional as F

from srkit.errors import WeightsError


def make_theirs(scale: int = 2, *, features: int = 8, norm: bool = True) -> Any:
    return THEIRS(num_in_ch=3, num_out_ch=3, feature_channels=features, upscale=scale, norm=norm)


def count_fused(net: SPAN) -> int:
    """Count the parameters of inference, as the paper does."""
    fused = [layer.fused() for layer in net.modules() if isinstance(layer, FusedConv)]
    others = count(net.fuse) + count(net.upsample)
    return others + sum(kernel.numel() + bias.numel() for kernel, bias in fused)


@pytest.mark.parametrize(
    ("scale", "features", "thousands"), [(2, 48, 411), (4, 48, 426), (2, 52, 481), (4, 52, 498)]
)
def test_published_parameter_counts(scale: int, features: int, thousands: int) -> None:
    """Those of the paper's table."""
    with torch.device("meta"):
        net = SPAN(scale=scale, channels=3, features=features)
        assert round(count_fused(net) / 1000) == thousands


def test_parameters_in_training_are_those_of_the_authors() -> None:
    theirs = make_theirs(4, features=48)
    copies = sum(p.numel() for name, p in theirs.named_parameters() if ".eval_conv." in name)
    assert count(SPAN(scale=4, channels=3)) == count(theirs) - copies == 1_840_488


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_equals_spandrel(norm: bool, training: bool) -> None:
    """In training, spandrel computes each convolution by its four parts."""
    theirs = make_theirs(3, norm=norm)
    if norm:  # keep the output of order 1 although values reach 255
        with torch.no_grad():
            theirs.upsampler[0].weight /= 100
    check_against(theirs, SPAN(scale=3, channels=3, features=8, normalise=norm), training=training)


def test_a_fused_convolution_is_that_of_its_parts() -> None:
    layer = FusedConv(3, 5)
    disturb(layer)
    x = torch.rand(1, 3, 6, 7)
    padded = F.pad(x, (1, 1, 1, 1))
    inner = F.conv2d(layer.expand(padded), layer.conv.weight, layer.conv.bias)
    torch.testing.assert_close(layer(x), layer.reduce(inner) + layer.skip(x))


def test_weights_of_the_other_normalisation_are_refused() -> None:
    net = SPAN(scale=2, channels=3, features=8)
    with pytest.raises(WeightsError) as caught:
        net.adapt(make_theirs(norm=False).state_dict())
    assert str(caught.value) == (
        "these weights were trained without normalised images; set generator.normalise=false"
    )
    net = SPAN(scale=2, channels=3, features=8, normalise=False)
    with pytest.raises(WeightsError) as caught:
        net.adapt(make_theirs().state_dict())
    assert str(caught.value) == (
        "these weights were trained on normalised images; set generator.normalise=true"
    )


def test_other_channels_and_blocks() -> None:
    net = SPAN(scale=4, channels=1, blocks=2, features=4)
    assert net(torch.rand(2, 1, 3, 1)).shape == (2, 1, 12, 4)
    assert list(net.stages()) == ["head", "body.0", "body.1", "body_end", "fuse", "upsample"]
    with pytest.raises(ValueError, match=r"^span supports the scales 1, 2, 3, 4 and 8; got 5$"):
        SPAN(scale=5, channels=3)
