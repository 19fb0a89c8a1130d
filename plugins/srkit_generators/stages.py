"""The stages of a network, by the names of its parts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def list_stages(network: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Give the named parts, from input to output; each block of ``body`` is a stage of its own."""
    stages: dict[str, nn.Module] = {}
    for name in names:
        part = network.get_submodule(name)
        if name == "body":
            stages |= {f"body.{number}": block for number, block in part.named_children()}
        else:
            stages[name] = part
    return stages
