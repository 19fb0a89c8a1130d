from __future__ import annotations

import torch
from srkit_generators.blocks import dense, rrdb
from srkit_generators.dense_blocks import (
    DenseBlock,
    ResidualDenseBlock,
    ResidualInResidual,
    shrink_initial_weights,
)
from torch.nn import functional as F


def test_residual_dense_block_equals_its_definition() -> None:
    torch.manual_seed(1)
    block = ResidualDenseBlock(6, growth=3, layers=4, weight=0.5)
    x = torch.randn(2, 6, 5, 5)
    outputs = [x]
    for layer in block.convs:
        outputs.append(layer(torch.cat(outputs, 1)).clamp(min=0))
    weights = block.fuse.weight[:, :, 0, 0]
    assert block.fuse.bias is not None
    fused = torch.einsum("oc,nchw->nohw", weights, torch.cat(outputs, 1))
    expected = x + 0.5 * (fused + block.fuse.bias.view(1, -1, 1, 1))
    torch.testing.assert_close(block(x), expected)


def test_published_residual_dense_block() -> None:
    """G = 64, C = 8: eight 3 x 3 convolutions of 64 to 512 channels, and a 1 x 1 of 576."""
    with torch.device("meta"):
        count = sum(p.numel() for p in dense(64, "relu").parameters())
    assert count == 9 * 64 * 64 * (8 * 9 // 2) + 8 * 64 + 576 * 64 + 64


def test_dense_block_equals_its_definition() -> None:
    torch.manual_seed(1)
    block = DenseBlock(6, 3)
    x = torch.randn(2, 6, 5, 5)
    outputs = [x]
    for i in range(1, 5):
        layer = block.get_submodule(f"conv{i}")
        outputs.append(F.leaky_relu(layer(torch.cat(outputs, 1)), 0.2))
    torch.testing.assert_close(block(x), x + 0.2 * block.conv5(torch.cat(outputs, 1)))


def test_dense_block_gradient_equals_finite_differences() -> None:
    torch.manual_seed(2)
    block = DenseBlock(2, 2).double()
    assert torch.autograd.gradcheck(
        block, torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    )


def test_residual_in_residual_equals_its_definition() -> None:
    torch.manual_seed(3)
    block = ResidualInResidual(6, 3)
    x = torch.randn(1, 6, 5, 5)
    torch.testing.assert_close(block(x), x + 0.2 * block.rdb3(block.rdb2(block.rdb1(x))))


def test_initial_weights_are_a_tenth_of_kaiming() -> None:
    torch.manual_seed(3)
    block = ResidualInResidual(64, 32)
    shrink_initial_weights(block)
    for shrunk in (block, rrdb(64, "leaky_relu")):
        layer = shrunk.get_submodule("rdb2.conv5")
        deviation = 0.1 * (2 / (192 * 9)) ** 0.5
        torch.testing.assert_close(layer.weight.std().item(), deviation, rtol=0.02, atol=0)
        assert not layer.bias.any()
