"""Parameters, multiply-adds and layers against counts by hand."""

from __future__ import annotations

import torch
from srkit_generators.edsr import EDSR
from srkit_generators.rrdb import RRDB
from torch import Tensor, nn

from srkit.models.costs import count_multiply_adds, count_parameters, list_layers

LR = torch.rand(1, 3, 16, 12, generator=torch.Generator().manual_seed(0))


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


def test_attention_is_counted() -> None:
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


def test_layers_are_listed_in_the_order_of_execution() -> None:
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
