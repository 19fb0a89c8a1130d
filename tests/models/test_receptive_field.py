"""Receptive fields against the literature and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from srkit.models.open import Interpolation
from srkit.models.receptive_field import ReceptiveField, receptive_field


def convolutions(*sides: int, features: int = 8) -> nn.Sequential:
    """Return convolutions of the given sides that keep the size of an image of 1 channel."""
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


def test_an_unbounded_field() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.mean((2, 3), keepdim=True)

    found = receptive_field(Attention().eval(), 2)
    assert (found.height, found.width, found.bounded) == (512, 512, False)


def test_the_square_with_95_percent_of_the_gradient() -> None:
    """Of a 5 x 5 box whose centre weighs 90 and its ring of 8 neighbours 6, 3 x 3 is enough."""
    weights = torch.full((5, 5), 4 / 16)
    weights[1:4, 1:4] = 6 / 8
    weights[2, 2] = 90
    network = nn.Conv2d(1, 1, 5, padding=2, bias=False)
    with torch.no_grad():
        network.weight.copy_(weights)
    assert receptive_field(network.eval(), 1) == ReceptiveField(5, 5, True, 3)


@pytest.mark.parametrize(("kernel", "side"), [("nearest", 1), ("bicubic", 4), ("lanczos", 6)])
def test_receptive_fields_of_interpolations(kernel: str, side: int) -> None:
    found = receptive_field(Interpolation(kernel, 2), 1)  # type: ignore[arg-type]
    assert (found.height, found.width) == (side, side)


def test_a_network_that_ignores_its_input() -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * x

    assert receptive_field(Blind(), 1) == ReceptiveField(0, 0, True, 0)
