from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from srkit_generators.edsr import EDSR
from srkit_generators.mdsr import MDSR
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.assembly.start import load_starting_weights
from srkit.data.scales import set_scale
from srkit.errors import WeightsError
from srkit.interfaces import Generator, MultiScale
from srkit.recipe.recipe import parse_recipe
from srkit.testing import check_generator

SCALES = (2, 3, 4)


def small(channels: int = 3, **options: Any) -> MDSR:
    torch.manual_seed(0)
    return MDSR(scales=SCALES, channels=channels, blocks=2, features=8, **options)


def test_published_parameter_counts() -> None:
    """The paper's 8.0 million (table 1); the exact number follows from its layers."""
    with torch.device("meta"):
        whole = MDSR(scales=SCALES, channels=3)
        baseline = MDSR(scales=SCALES, channels=3, blocks=16)

    def convolution(inputs: int, outputs: int, kernel: int = 3) -> int:
        return inputs * outputs * kernel**2 + outputs

    shared = convolution(3, 64) + convolution(64, 64) + convolution(64, 3)
    own = 3 * 4 * convolution(64, 64, 5)
    enlarging = convolution(64, 256) + convolution(64, 576) + 2 * convolution(64, 256)
    block = 2 * convolution(64, 64)
    for net, blocks, total in ((whole, 80, 7_953_987), (baseline, 16, 3_227_203)):
        assert sum(p.numel() for p in net.parameters()) == total
        assert shared + own + enlarging + blocks * block == total


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes_at_every_scale(scale: int, channels: int) -> None:
    net = small(channels)
    assert isinstance(net, Generator) and isinstance(net, MultiScale)
    set_scale(net, scale)
    assert net(torch.rand(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


class Official(nn.Module):
    """The network of figure 5 of the paper, with the keys of the authors' code."""

    def __init__(self) -> None:
        super().__init__()

        def block(kernel: int) -> nn.Module:
            net = nn.Module()
            padding = kernel // 2
            net.body = nn.Sequential(
                nn.Conv2d(8, 8, kernel, padding=padding),
                nn.ReLU(),
                nn.Conv2d(8, 8, kernel, padding=padding),
            )
            return net

        self.head = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1))
        self.pre_process = nn.ModuleList(nn.Sequential(block(5), block(5)) for _ in SCALES)
        self.body = nn.Sequential(block(3), block(3), nn.Conv2d(8, 8, 3, padding=1))
        self.upsample = nn.ModuleList(
            nn.Sequential(
                *(
                    layer
                    for step in {2: [2], 3: [3], 4: [2, 2]}[scale]
                    for layer in (nn.Conv2d(8, 8 * step**2, 3, padding=1), nn.PixelShuffle(step))
                )
            )
            for scale in SCALES
        )
        self.tail = nn.Sequential(nn.Conv2d(8, 3, 3, padding=1))

    def restore(self, lr: Tensor, number: int) -> Tensor:
        """Restore images with values up to 255 at one of the scales."""
        mean = 255 * torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
        shallow = self.head(lr - mean)
        for block in self.pre_process[number]:  # type: ignore[attr-defined]
            shallow = shallow + block.body(shallow)
        deep = shallow
        for block in list(self.body)[:2]:
            deep = deep + block.body(deep)
        deep = shallow + self.body[2](deep)
        sr: Tensor = self.tail(self.upsample[number](deep)) + mean
        return sr


def test_equals_the_authors_network_with_its_weights() -> None:
    torch.manual_seed(3)
    official = Official()
    net = small(subtract_mean=True)
    given = {
        **official.state_dict(),
        "sub_mean.weight": torch.eye(3),
        "add_mean.bias": torch.ones(3),
    }
    net.load_state_dict(net.adapt(given))
    lr = torch.rand(1, 3, 6, 7)
    for number, scale in enumerate(SCALES):
        set_scale(net, scale)
        expected = official.restore(255 * lr, number) / 255
        torch.testing.assert_close(net(lr), expected, rtol=0, atol=1e-5)
        assert F.mse_loss(expected, torch.zeros_like(expected)) > 0.01


def test_centred_weights_need_a_centring_network() -> None:
    given = {**Official().state_dict(), "sub_mean.weight": torch.eye(3)}
    message = "these weights were trained on centred images; set generator.subtract_mean=true"
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
        small().adapt(given)


def test_contract_at_several_scales() -> None:
    check_generator(small())


def test_a_step_trains_only_the_parts_of_its_scale() -> None:
    net = small()
    set_scale(net, 3)
    net(torch.rand(1, 3, 5, 5)).mean().backward()
    trained = {name for name, p in net.named_parameters() if p.grad is not None}
    assert not any(".x2." in name or ".x4." in name for name in trained)
    shared = {name for name, _ in net.named_parameters() if ".x" not in name}
    assert shared < trained
    assert {name.split(".")[0] for name in trained - shared} == {"pre", "upsample"}


def test_the_body_can_be_loaded_from_edsr(tmp_path: Path) -> None:
    torch.manual_seed(1)
    edsr = EDSR(scale=2, channels=3, blocks=2, features=8)
    save_file(edsr.state_dict(), tmp_path / "edsr.safetensors")
    net = small()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    start = {"weights": str(tmp_path / "edsr.safetensors"), "reinitialise": ["pre.*", "upsample.*"]}
    load_starting_weights(net, parse_recipe({"name": "x", "start": start}, "here"))
    for name, value in net.state_dict().items():
        own = name.startswith(("pre.", "upsample."))
        assert torch.equal(value, before[name] if own else edsr.state_dict()[name]), name


def test_bad_scale() -> None:
    with pytest.raises(ValueError, match=r"^mdsr supports the scales 1, 2, 3, 4 and 8; got 6$"):
        MDSR(scales=[2, 6], channels=3)
