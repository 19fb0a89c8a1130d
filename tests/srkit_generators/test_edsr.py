from __future__ import annotations

from typing import Any

import pytest
import torch
from srkit_generators.edsr import EDSR
from torch import nn
from torch.nn import functional as F

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
    with pytest.raises(ValueError, match=r"^edsr supports the scales 1, 2, 3, 4 and 8; got 5$"):
        EDSR(scale=5, channels=3)


def test_refuses_the_mean_colour_of_grey_images() -> None:
    with pytest.raises(ValueError, match=r"^subtract_mean requires images of 3 channels; got 1$"):
        EDSR(scale=2, channels=1, subtract_mean=True)


def test_mean_is_subtracted_and_added_back() -> None:
    net = EDSR(scale=2, channels=3, blocks=1, features=8, subtract_mean=True)
    with torch.no_grad():
        net.tail.weight.zero_()
        net.tail.bias.zero_()
    expected = torch.tensor([0.4488, 0.4371, 0.4040])
    torch.testing.assert_close(net(torch.rand(1, 3, 4, 4))[0, :, 2, 2], expected)
    plain = EDSR(scale=2, channels=3, blocks=1, features=8)
    assert plain.state_dict().keys() == net.state_dict().keys()


def test_residual_scale_weights_the_branch() -> None:
    x = torch.randn(1, 8, 4, 4)
    body: Any = EDSR(scale=2, channels=3, blocks=1, features=8, residual_scale=0.1).body[0]
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
    with pytest.raises(
        WeightsError, match=r"^these are not weights of edsr: their first keys are "
    ):
        net.adapt({"fc.weight": torch.zeros(1)})


def test_checkpoints_keep_their_names() -> None:
    """The keys of the first checkpoints published with srkit."""
    parts = ["head", "body.0.conv1", "body.0.conv2", "body.1.conv1", "body.1.conv2", "body_end"]
    parts += ["upsample.conv0", "upsample.conv1", "tail"]
    expected = [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    assert list(small(4).state_dict()) == expected


def test_blocks_activation_and_upsampler_are_options() -> None:
    options: dict[str, Any] = {"blocks": [1, "dense", "rrdb"], "activation": "prelu"}
    net = EDSR(scale=3, channels=3, features=8, upsampler="transposed", **options)
    names = list(net.state_dict())
    assert "body.0.activation.weight" in names
    assert "body.1.fuse.weight" in names
    assert "body.2.rdb1.conv1.weight" in names
    assert net(torch.rand(1, 3, 4, 5)).shape == (1, 3, 12, 15)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_direct_upsampler_has_no_layer_at_the_size_of_sr(scale: int) -> None:
    net = EDSR(scale=scale, channels=2, blocks=1, features=8, upsampler="direct")
    deep = torch.randn(1, 8, 3, 4)
    expanded = net.upsample(deep).view(1, 2, scale, scale, 3, 4)
    pixels = expanded.permute(0, 1, 4, 2, 5, 3).reshape(1, 2, 3 * scale, 4 * scale)
    torch.testing.assert_close(net.tail(net.upsample(deep)), pixels)
    found = {id(p) for stage in net.stages().values() for p in stage.parameters()}
    assert found == {id(p) for p in net.parameters()}


def test_compact_networks_share_one_size() -> None:
    """``recipes/edsr_small_*.yaml``: 577 parameters for each value of a cell of SR."""
    with torch.device("meta"):
        counts = [
            count(EDSR(scale=scale, channels=3, blocks=8, upsampler="direct"))
            for scale in (2, 3, 4)
        ]
    without = 64 * (9 * 3 + 1) + 17 * 64 * (9 * 64 + 1)
    assert counts == [without + 3 * scale**2 * (9 * 64 + 1) for scale in (2, 3, 4)]
    assert counts[0] == 636_492


@pytest.mark.parametrize("upsampler", ["direct", "pixel_shuffle"])
def test_global_residual_is_added_to_the_enlarged_image(upsampler: Any) -> None:
    options: dict[str, Any] = {"blocks": 1, "features": 8, "upsampler": upsampler}
    plain = EDSR(scale=2, channels=3, **options)
    net = EDSR(scale=2, channels=3, global_residual=True, **options)
    net.load_state_dict(plain.state_dict())
    lr = torch.rand(1, 3, 6, 5)
    enlarged = F.interpolate(lr, scale_factor=2, mode="bicubic")
    torch.testing.assert_close(net(lr), plain(lr) + enlarged)
    with torch.autocast("cpu", torch.bfloat16):
        detail, sr = plain(lr), net(lr)
    assert not torch.equal(detail, plain(lr))  # the detail is rounded, LR is not
    torch.testing.assert_close(sr, detail + enlarged)


class Official(nn.Module):
    """The network with the keys of the authors' code, for values up to 255."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        features, steps = 8, [3] if scale == 3 else [2] * (scale // 2)

        def conv(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 3, padding=1)

        def block() -> nn.Module:
            layers = [conv(features, features), nn.ReLU(), conv(features, features)]
            return nn.ModuleDict({"body": nn.Sequential(*layers)})

        enlarging: list[nn.Module] = []
        for step in steps:
            enlarging += [conv(features, features * step**2), nn.PixelShuffle(step)]
        self.head = nn.Sequential(conv(3, features))
        self.body = nn.ModuleList([block(), block(), conv(features, features)])
        self.tail = nn.Sequential(nn.Sequential(*enlarging), conv(features, 3))
        self.mean = 255 * torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x = self.head(x - self.mean)
        for block in self.body[:-1]:
            x = x + block["body"](x)  # type: ignore[operator, index]
        sr: torch.Tensor = self.tail(self.body[-1](x) + first) + self.mean
        return sr


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_authors_weights_restore_the_same_image(scale: int) -> None:
    torch.manual_seed(0)
    official = Official(scale)
    with torch.no_grad():
        for name, parameter in official.named_parameters():
            if name.endswith("bias"):
                parameter.mul_(50)
    shift = {f"{part}_mean.weight": torch.eye(3) for part in ("sub", "add")}
    tensors = {**official.state_dict(), **shift}
    net = EDSR(scale=scale, channels=3, blocks=2, features=8, subtract_mean=True)
    net.load_state_dict(net.adapt(tensors), strict=True)
    lr = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(net(lr), official(255 * lr) / 255)
    message = r"^these weights were trained on centred images; set generator\.subtract_mean=true$"
    with pytest.raises(WeightsError, match=message):
        small(scale).adapt(tensors)
