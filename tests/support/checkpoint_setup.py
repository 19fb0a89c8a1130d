"""A small network and its weights, for tests of checkpoints and weight files."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from srkit.interfaces import Published

#: What the state of every checkpoint has.
STATE = {"recipe": {"name": "x"}, "versions": {"srkit": "0"}}


class Net(nn.Module):
    """A small network; in published files its head is called ``first``."""

    scale, channels, channels_last = 1, 3, False
    published: Mapping[str, Published] = {
        "net_x4": Published("http://weights.example/net_x4.pth", "0" * 64, "Apache-2.0")
    }

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.tail = nn.Conv2d(width, 3, 1)

    def forward(self, lr: Tensor) -> Tensor:
        restored: Tensor = self.tail(self.norm(self.head(lr)))
        return restored

    def stages(self) -> Mapping[str, nn.Module]:
        return {"head": nn.ModuleList([self.head, self.norm]), "tail": self.tail}

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {key.replace("first.", "head."): value for key, value in tensors.items()}


def foreign(net: Net) -> dict[str, Tensor]:
    """Return the weights under the names of a published file."""
    return {key.replace("head.", "first."): value for key, value in net.state_dict().items()}


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[key].dtype == tensor.dtype and torch.equal(found[key], tensor)
        for key, tensor in expected.items()
    )
