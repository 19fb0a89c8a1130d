"""The data flow through networks with known connections."""

from __future__ import annotations

import torch
from srkit_generators.edsr import EDSR
from torch import Tensor, nn

from srkit.models.costs import count_parameters
from srkit.models.data_flow import SR, trace_stages, weighted_layers

LR = torch.rand(1, 3, 16, 12, generator=torch.Generator().manual_seed(0))


def test_the_skip_connection_of_edsr_is_found() -> None:
    network = EDSR(scale=2, channels=3, blocks=2, features=4).eval().requires_grad_(False)
    found = trace_stages(network, network.stages(), LR)
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


def test_concatenated_inputs_and_lr_are_found() -> None:
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
    found = trace_stages(network, dict(network.named_children()), LR)
    assert {stage.name: set(stage.sources) for stage in found} == {
        "a": {"LR"},
        "b": {"a"},
        "c": {"a", "b"},
        SR: {"c", "LR"},
    }


def test_weighted_layers_are_the_outermost() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))
            self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 1))
            self.attention = nn.MultiheadAttention(4, 2)

    assert list(weighted_layers(Mixed())) == ["body.0", "body.2", "attention"]
