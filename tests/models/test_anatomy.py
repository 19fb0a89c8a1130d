"""Parameters, multiply-adds, receptive field and data flow, against what is known of networks."""

from __future__ import annotations

import pytest
import torch
from srkit_generators.edsr import EDSR
from srkit_generators.rrdb import RRDB
from torch import Tensor, nn

from srkit.models.anatomy import (
    SR,
    Field,
    count_multiply_adds,
    count_parameters,
    flow,
    list_layers,
    receptive_field,
    weighted_layers,
)
from srkit.models.open import Interpolation

LR = torch.rand(1, 3, 16, 12, generator=torch.Generator().manual_seed(0))


def convolutions(*sides: int, features: int = 8) -> nn.Sequential:
    """Convolutions of the given sides that keep the size, from 1 channel to 1."""
    widths = [1, *[features] * (len(sides) - 1), 1]
    layers: list[nn.Module] = []
    for side, inputs, outputs in zip(sides, widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv2d(inputs, outputs, side, padding=side // 2), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers[:-1]).eval()


@pytest.mark.parametrize(
    ("sides", "field"),
    [((9, 1, 5), 13), ((9, 5, 5), 17), ((3,) * 20, 41)],
    ids=["SRCNN 9-1-5", "SRCNN 9-5-5", "VDSR"],
)
def test_receptive_fields_of_the_papers(sides: tuple[int, ...], field: int) -> None:
    """Dong et al. 2016, section 4.3.2: 13 x 13 and 17 x 17; Kim et al. 2016, section 3.2: 41."""
    found = receptive_field(convolutions(*sides), 1)
    assert (found.height, found.width, found.bounded) == (field, field, True)
    assert 1 <= found.core <= field


def test_a_field_that_is_not_square() -> None:
    network = nn.Conv2d(1, 1, (3, 7), padding=(1, 3)).eval()
    found = receptive_field(network, 1)
    assert (found.height, found.width) == (3, 7)


def test_a_field_that_has_no_end() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.mean((2, 3), keepdim=True)

    found = receptive_field(Attention().eval(), 2)
    assert (found.height, found.width, found.bounded) == (512, 512, False)


def test_the_square_that_holds_95_percent() -> None:
    """Of a 5 x 5 box whose centre weighs 90 and its ring of 8 neighbours 6, 3 x 3 is enough."""
    weights = torch.full((5, 5), 4 / 16)
    weights[1:4, 1:4] = 6 / 8
    weights[2, 2] = 90
    network = nn.Conv2d(1, 1, 5, padding=2, bias=False)
    with torch.no_grad():
        network.weight.copy_(weights)
    assert receptive_field(network.eval(), 1) == Field(5, 5, True, 3)


@pytest.mark.parametrize(("kernel", "side"), [("nearest", 1), ("bicubic", 4), ("lanczos", 6)])
def test_fields_of_interpolations(kernel: str, side: int) -> None:
    found = receptive_field(Interpolation(kernel, 2), 1)  # type: ignore[arg-type]
    assert (found.height, found.width) == (side, side)


def test_a_network_that_looks_at_nothing() -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * x

    assert receptive_field(Blind(), 1) == Field(0, 0, True, 0)


def test_multiply_adds_by_hand() -> None:
    network = EDSR(scale=2, channels=3, blocks=2, features=8).eval()
    pixels = 16 * 12
    inner = 8 * 8 * 9 * pixels
    expected = {
        "head": 3 * 8 * 9 * pixels,
        "body": 4 * inner,
        "body.0": 2 * inner,
        "body.1.conv2": inner,
        "body_end": inner,
        "upsample": 4 * inner,
        "tail": 8 * 3 * 9 * 4 * pixels,
    }
    found = count_multiply_adds(network, LR)
    assert {name: found[name] for name in expected} == expected
    direct = ("head", "body", "body_end", "upsample", "tail")
    assert found[""] == sum(expected[name] for name in direct)


def test_attention_counts() -> None:
    network = nn.MultiheadAttention(8, 2, batch_first=True).eval()

    class Itself(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(2).mT
            answer: Tensor = self.network(tokens, tokens, tokens, need_weights=False)[0]
            return answer

    tokens, width = 20, 8
    projections, products = 4 * tokens * width**2, 2 * tokens**2 * width
    found = count_multiply_adds(Itself().eval(), torch.rand(1, 8, 4, 5))
    assert found[""] == projections + products
    assert torch.backends.mha.get_fastpath_enabled()


def test_rrdb_as_published() -> None:
    """16.7 million parameters; the count of ESRGAN's official code."""
    with torch.device("meta"):
        assert count_parameters(RRDB(scale=4, channels=3)) == 16_697_987


def test_layers_as_they_ran() -> None:
    network = EDSR(scale=2, channels=3, blocks=1, features=4).eval()
    rows = [(row.name, row.type, row.depth, row.output) for row in list_layers(network, LR, 2)]
    assert rows == [
        ("head", "Conv2d", 1, (1, 4, 16, 12)),
        ("body", "Sequential", 1, (1, 4, 16, 12)),
        ("body.0", type(network.body[0]).__name__, 2, (1, 4, 16, 12)),
        ("body_end", "Conv2d", 1, (1, 4, 16, 12)),
        ("upsample", "Sequential", 1, (1, 4, 32, 24)),
        ("upsample.conv0", "Conv2d", 2, (1, 16, 16, 12)),
        ("upsample.shuffle0", "PixelShuffle", 2, (1, 4, 32, 24)),
        ("tail", "Conv2d", 1, (1, 3, 32, 24)),
    ]
    top = list_layers(network, LR, 1)
    assert sum(row.parameters for row in top) == count_parameters(network)
    assert sum(row.multiply_adds for row in top) == count_multiply_adds(network, LR)[""]


def test_flow_has_the_skip_connection_of_edsr() -> None:
    network = EDSR(scale=2, channels=3, blocks=2, features=4).eval().requires_grad_(False)
    found = flow(network, network.stages(), LR)
    assert {stage.name: set(stage.sources) for stage in found} == {
        "head": {"LR"},
        "body.0": {"head"},
        "body.1": {"body.0"},
        "body_end": {"body.1"},
        "upsample": {"head", "body_end"},
        "tail": {"upsample"},
        SR: {"tail"},
    }
    assert found[-1].output == (1, 3, 32, 24)
    assert sum(stage.parameters for stage in found) == count_parameters(network)
    assert not any(part._forward_hooks for part in network.modules())


def test_flow_sees_what_is_concatenated_and_what_comes_from_lr() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
            self.c, self.idle = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            a = self.a(x).relu_()
            answer: Tensor = self.c(torch.cat([a, self.b(a)], 1)) + x
            return answer

    network = Dense().eval()
    found = flow(network, dict(network.named_children()), LR)
    assert {stage.name: set(stage.sources) for stage in found} == {
        "a": {"LR"},
        "b": {"a"},
        "c": {"a", "b"},
        SR: {"c", "LR"},
    }


def test_layers_with_weights_are_the_outermost() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))
            self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 1))
            self.attention = nn.MultiheadAttention(4, 2)

    assert list(weighted_layers(Mixed())) == ["body.0", "body.2", "attention"]
