"""From x2 to x3 and x4: the upsampler is reinitialised, all other keys must match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from srkit.assembly.start import load_starting_weights
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.recipe.recipe import Recipe, parse_recipe
from srkit.training.freezing import Freezing

NETWORKS: dict[str, dict[str, Any]] = {
    "edsr": {"blocks": 2, "features": 8},
    "rcan": {"groups": 1, "blocks": 2, "features": 8},
    "rdn": {"blocks": 2, "layers": 2, "growth": 4, "features": 8},
    "srresnet": {"blocks": [1, "dense"], "features": 8},
}


def make(registry: Registry, name: str, scale: int) -> nn.Module:
    net = build(registry.get("generators", name).factory, NETWORKS[name], scale=scale, channels=3)
    assert isinstance(net, nn.Module)
    return net


def starting(weights: Path, **start: Any) -> Recipe:
    return parse_recipe({"name": "x", "start": {"weights": str(weights), **start}}, "here")


@pytest.fixture(params=NETWORKS)
def doubled(
    request: pytest.FixtureRequest, registry: Registry, tmp_path: Path
) -> tuple[str, Path, dict[str, torch.Tensor]]:
    """Return name, file and weights of a network for x2."""
    torch.manual_seed(0)
    state = make(registry, request.param, 2).state_dict()
    path = tmp_path / "x2.safetensors"
    save_file(state, path)
    return request.param, path, state


@pytest.mark.parametrize("scale", [3, 4])
@pytest.mark.parametrize("patterns", [["upsample.*"], ["upsample.*", "tail.*"]])
def test_only_reinitialised_parts_get_new_weights(
    registry: Registry,
    doubled: tuple[str, Path, dict[str, torch.Tensor]],
    scale: int,
    patterns: list[str],
) -> None:
    name, path, state = doubled
    torch.manual_seed(1)
    net: Any = make(registry, name, scale)
    fresh = {key: value.clone() for key, value in net.state_dict().items()}
    stages = list(net.stages())[:2]
    recipe = starting(path, reinitialise=patterns, freeze=stages)
    load_starting_weights(net, recipe)
    Freezing(net, recipe.start)
    begun = tuple(pattern.partition("*")[0] for pattern in patterns)
    for key, tensor in net.state_dict().items():
        assert torch.equal(tensor, fresh[key] if key.startswith(begun) else state[key]), key
    frozen = [key for key, p in net.named_parameters() if not p.requires_grad]
    assert {key for key, _ in net.named_parameters() if key.startswith("head.")} <= set(frozen)
    assert not any(key.startswith(begun) for key in frozen)
    assert net(torch.rand(1, 3, 4, 5)).shape == (1, 3, 4 * scale, 5 * scale)


@pytest.mark.parametrize("scale", [3, 4])
def test_other_keys_must_match(
    registry: Registry, doubled: tuple[str, Path, dict[str, torch.Tensor]], scale: int
) -> None:
    name, path, _ = doubled
    net: Any = make(registry, name, scale)
    with pytest.raises(WeightsError, match=r"keys? differs?; change .*start\.reinitialise\n") as e:
        load_starting_weights(net, starting(path, reinitialise=["tail.*"]))
    keys = [line.split()[0] for line in str(e.value).splitlines()[2:]]
    assert keys and all(key.startswith("upsample.") for key in keys)
