from __future__ import annotations

import pytest
import torch
from srkit_generators.edsr import EDSR
from torch import nn

from srkit.errors import WeightsError
from srkit.interfaces import Generator


def small(scale: int = 2, channels: int = 3) -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=scale, channels=channels, blocks=2, features=8)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_published_parameter_counts() -> None:
    # The official code reports 1,369,859 for x2, 1,554,499 for x3, 1,517,571 for x4 and, of the
    # large network, 40,729,603 for x2, 43,680,003 for x3, 43,089,923 for x4.
    with torch.device("meta"):
        baseline = [count(EDSR(scale=scale, channels=3)) for scale in (2, 3, 4)]
        large = [
            count(EDSR(scale=scale, channels=3, blocks=32, features=256, residual_scale=0.1))
            for scale in (2, 3, 4)
        ]
    assert baseline == [1_369_859, 1_554_499, 1_517_571]
    assert large == [40_729_603, 43_680_003, 43_089_923]


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes(scale: int, channels: int) -> None:
    net = small(scale, channels)
    assert isinstance(net, Generator)
    assert net(torch.rand(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


def test_refuses_scale_5() -> None:
    with pytest.raises(ValueError, match=r"^edsr has the scales 1, 2, 3, 4 and 8; got 5$"):
        EDSR(scale=5, channels=3)


def test_refuses_the_mean_colour_of_grey_images() -> None:
    with pytest.raises(ValueError, match=r"^subtract_mean is for images of 3 channels; got 1$"):
        EDSR(scale=2, channels=1, subtract_mean=True)


def test_mean_is_taken_off_and_put_back() -> None:
    net = EDSR(scale=2, channels=3, blocks=1, features=8, subtract_mean=True)
    with torch.no_grad():
        net.tail.weight.zero_()
        net.tail.bias.zero_()
    expected = torch.tensor([0.4488, 0.4371, 0.4040])
    torch.testing.assert_close(net(torch.rand(1, 3, 4, 4))[0, :, 2, 2], expected)
    plain = EDSR(scale=2, channels=3, blocks=1, features=8)
    assert plain.state_dict().keys() == net.state_dict().keys()


def test_residual_scale_weighs_the_branch() -> None:
    x = torch.randn(1, 8, 4, 4)
    body = EDSR(scale=2, channels=3, blocks=1, features=8, residual_scale=0.1).body[0]
    branch = body.conv2(torch.relu(body.conv1(x)))
    torch.testing.assert_close(body(x), x + 0.1 * branch)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_stages_cover_every_parameter_once(scale: int) -> None:
    net = small(scale)
    found = [id(p) for stage in net.stages().values() for p in stage.parameters()]
    assert sorted(found) == sorted(id(p) for p in net.parameters())


def test_adapts_its_own_names_only() -> None:
    net = small()
    net.load_state_dict(net.adapt(net.state_dict()), strict=True)
    with pytest.raises(WeightsError, match=r"^these are no weights of edsr: their first keys are "):
        net.adapt({"fc.weight": torch.zeros(1)})
