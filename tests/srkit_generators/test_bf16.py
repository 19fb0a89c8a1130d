"""New networks, with their default options, learn in bf16."""

from __future__ import annotations

import pytest
import torch

from srkit.components.registry import Registry

NETWORKS = [
    *((each.name, {}) for each in Registry.discover().components("generators")),
    ("compact", {"blocks": 32}),
]


@pytest.mark.parametrize(("name", "options"), [each for each in NETWORKS if each[0] != "foreign"])
def test_the_first_layer_has_the_gradient_of_fp32(
    name: str, options: dict[str, int], registry: Registry
) -> None:
    """Otherwise, LR is lost on its way through the layers, and the network learns a constant."""
    torch.manual_seed(0)
    several = {"scales": [4]} if name in ("mdsr", "vdsr") else {"scale": 4}
    net = registry.get("generators", name).factory(**several, **options, channels=3)
    lr, target = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 32, 32)
    gradients = []
    for autocast in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            sr = net(lr)
        (sr.float() - target).square().mean().backward()
        first = next(p.grad for p in net.parameters() if p.grad is not None)
        gradients.append(first.flatten().clone())
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9
