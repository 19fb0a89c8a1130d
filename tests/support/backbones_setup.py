"""Classifiers with random weights, in the folder to which torchvision downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import alexnet, vgg16


def random_state(build: object, seed: int) -> dict[str, Tensor]:
    """Return random weights of the features; the rest is not used: zeros that share memory."""
    assert callable(build)
    with torch.device("meta"):
        network: nn.Module = build(weights=None)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in network.state_dict().items():
        if name.startswith("features"):
            fan_in = max(1, value[0].numel())
            state[name] = torch.randn(value.shape, generator=generator) / fan_in**0.5
        else:
            state[name] = torch.zeros(1).expand(value.shape)
    return state


@contextmanager
def backbones(folder: Path) -> Iterator[Path]:
    """Let torchvision find AlexNet and VGG16 in this folder."""
    kept = torch.hub.get_dir()
    (folder / "checkpoints").mkdir(parents=True)
    for build, name in ((alexnet, "alexnet-owt-7be5be79"), (vgg16, "vgg16-397923af")):
        torch.save(random_state(build, 0), folder / "checkpoints" / f"{name}.pth")
    torch.hub.set_dir(str(folder))
    try:
        yield folder / "checkpoints"
    finally:
        torch.hub.set_dir(kept)
