from __future__ import annotations

import re
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from srkit_generators.blocks import (
    KINDS,
    Blocks,
    ChannelAttention,
    Residual,
    attention,
    bottleneck,
    make_blocks,
    preactivation,
    read_blocks,
    residual,
    residual_bn,
)
from srkit_generators.edsr import EDSR
from srkit_generators.layers import Activation, make_activation
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = get_args(Activation)


def convolve(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Convolve pixel by pixel: unfold, then one matrix product."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    side = layer.kernel_size[0]
    columns = F.unfold(x, side, padding=side // 2)
    sums = layer.weight.flatten(1) @ columns + layer.bias[:, None]
    return sums.view(len(x), -1, *x.shape[2:])


def standardise(x: torch.Tensor) -> torch.Tensor:
    """Normalise a batch by its own mean and variance, as fresh batch normalisation does."""
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def features(count: int = 8) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, count, 5, 6)


@pytest.mark.parametrize(
    ("spec", "read"),
    [
        (16, [(None, 16)]),
        ("dense x8", [("dense", 8)]),
        ([8, "dense x8"], [(None, 8), ("dense", 8)]),
        (["residual", "attention  x 2", 1], [("residual", 1), ("attention", 2), (None, 1)]),
    ],
)
def test_reads_numbers_and_kinds(spec: Any, read: list[tuple[str | None, int]]) -> None:
    assert list(read_blocks(TypeAdapter(Blocks).validate_python(spec))) == read


FORMS = (
    "expected a number of the network's own blocks, a kind and a number such as 'dense x8', "
    "or a list of these"
)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("dens x8", "unknown block 'dens'; did you mean 'dense'?"),
        ([4, "q"], f"unknown block 'q'; known: {', '.join(sorted(KINDS))}"),
        ("dense*8", f"got 'dense*8'; {FORMS}"),
        (["dense x0"], f"got 'dense x0'; {FORMS}"),
        (0, f"got 0; {FORMS}"),
        ([True], f"got True; {FORMS}"),
        ({"dense": 8}, f"got {{'dense': 8}}; {FORMS}"),
        ([], "got an empty list; expected at least one block"),
    ],
)
def test_refuses_unknown_blocks(spec: Any, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Blocks).validate_python(spec)
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {problem}"]
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        EDSR(scale=2, channels=3, blocks=spec, features=4)


def test_makes_blocks_in_order() -> None:
    body = make_blocks(
        [2, "attention x1", "residual"],
        lambda: nn.Identity(),
        features=8,
        activation="relu",
        weight=0.5,
    )
    assert [type(block) for block in body] == [nn.Identity, nn.Identity, Residual, Residual]
    assert [hasattr(block, "attention") for block in body[2:]] == [True, False]
    assert [block.weight for block in body[2:]] == [0.5, 0.5]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_kind_keeps_the_shape_and_trains(kind: str, name: Activation) -> None:
    torch.manual_seed(0)
    block = KINDS[kind](8, name, 1.0)
    x = features().requires_grad_()
    target = torch.randn(2, 8, 5, 6)
    optimiser = torch.optim.Adam(block.parameters(), 1e-3)
    losses = []
    for _ in range(4):
        refined = block(x)
        assert refined.shape == x.shape
        loss = (refined - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert x.grad is not None and x.grad.isfinite().all()
    # Biases before a normalisation have no effect; all other parameters get gradients.
    idle = {key for key, p in block.named_parameters() if p.grad is None or not p.grad.any()}
    assert not {key for key in idle if key.endswith("weight")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_does_not_change_its_input(kind: str) -> None:
    x = features()
    KINDS[kind](8, "relu", 1.0)(x)
    assert torch.equal(x, features())


def test_residual_equals_its_definition() -> None:
    block: Any = residual(8, "relu", 0.1)
    x = features()
    branch = convolve(convolve(x, block.conv1).clamp(min=0), block.conv2)
    torch.testing.assert_close(block(x), x + 0.1 * branch)


def test_residual_bn_equals_its_definition() -> None:
    block: Any = residual_bn(8, "prelu")
    x = features()
    inner = standardise(convolve(x, block.conv1))
    inner = torch.where(inner > 0, inner, 0.25 * inner)
    expected = x + standardise(convolve(inner, block.conv2))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_preactivation_equals_its_definition() -> None:
    block: Any = preactivation(8, "relu")
    x = features()
    inner = convolve(standardise(x).clamp(min=0), block.conv1)
    expected = x + convolve(standardise(inner).clamp(min=0), block.conv2)
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_bottleneck_convolves_a_quarter_of_the_channels() -> None:
    block: Any = bottleneck(8, "silu")
    assert block.conv2.weight.shape == (2, 2, 3, 3)
    x = features()
    inner = convolve(x, block.conv1)
    inner = convolve(inner / (1 + (-inner).exp()), block.conv2)
    expected = x + convolve(inner / (1 + (-inner).exp()), block.conv3)
    torch.testing.assert_close(block(x), expected)


def test_attention_equals_its_definition() -> None:
    gate = ChannelAttention(32)
    assert gate.squeeze.weight.shape == (2, 32, 1, 1)
    x = features(32)
    w1, w2 = gate.squeeze.weight[:, :, 0, 0], gate.excite.weight[:, :, 0, 0]
    assert gate.squeeze.bias is not None and gate.excite.bias is not None
    for image, scaled in zip(x, gate(x), strict=True):
        means = torch.stack([channel.sum() / 30 for channel in image])
        hidden = (w1 @ means + gate.squeeze.bias).clamp(min=0)
        weights = 1 / (1 + (-(w2 @ hidden + gate.excite.bias)).exp())
        torch.testing.assert_close(scaled, image * weights[:, None, None])
    block: Any = attention(32, "relu")
    branch = convolve(convolve(x, block.conv1).clamp(min=0), block.conv2)
    torch.testing.assert_close(block(x), x + block.attention(branch))


def test_rcan_counts_the_parameters_of_the_attention_block() -> None:
    """RCAN's blocks of 64 features with reduction 16 have 74,436: two convolutions, 4 squeezed."""
    count = sum(p.numel() for p in attention(64, "relu").parameters())
    assert count == 2 * (64 * 64 * 9 + 64) + (64 * 4 + 4) + (4 * 64 + 64)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_their_definitions(name: Activation) -> None:
    x = torch.linspace(-3, 3, 60, dtype=torch.float64).view(1, 2, 5, 6)
    expected = {
        "relu": x.clamp(min=0),
        "leaky_relu": torch.where(x > 0, x, 0.2 * x),
        "prelu": torch.where(x > 0, x, 0.25 * x),
        "gelu": x * (1 + torch.erf(x / 2**0.5)) / 2,
        "silu": x / (1 + (-x).exp()),
    }[name]
    torch.testing.assert_close(make_activation(name, 2).double()(x.clone()), expected)


def test_prelu_has_a_slope_for_each_channel() -> None:
    assert [p.shape for p in make_activation("prelu", 7).parameters()] == [(7,)]
