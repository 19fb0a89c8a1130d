from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_setup import STATE, Net, same
from safetensors.torch import save_file
from torch import Tensor, nn, optim
from torch.optim import Optimizer

from srkit.errors import OutputError, WeightsError
from srkit.weights.checkpoints import (
    load,
    pack_optimiser,
    read_state,
    save,
    settings_of,
    unpack_optimiser,
)
from srkit.weights.transfer import warm_start


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.safetensors"
    groups: dict[str, dict[str, Tensor]] = {
        "generator": Net().state_dict(),
        "optimiser.generator": {
            "0.half": torch.tensor([1.5, 3.0], dtype=torch.bfloat16),
            "0.transposed": torch.arange(6.0).view(2, 3).T,
            "0.empty": torch.zeros(0, 3),
            "a/b": torch.tensor(7),
        },
    }
    state = {"step": 12, "best": [None, 3], "recipe": {"name": "é", "lr": 1e-4}, "big": 2**70}
    state |= {"versions": STATE["versions"]}
    save(path, groups, state)
    found = load(path)
    assert found.groups.keys() == groups.keys()
    assert all(same(found.groups[name], groups[name]) for name in groups)
    assert found.state == state
    assert read_state(path) == state


def test_tensors_may_share_memory(tmp_path: Path) -> None:
    weight = torch.arange(4.0)
    save(tmp_path / "a.safetensors", {"net": {"a": weight, "b": weight, "c": weight[:2]}}, STATE)
    found = load(tmp_path / "a.safetensors").groups["net"]
    assert [found[key].tolist() for key in "abc"] == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1]]


def test_if_saving_fails_the_old_checkpoint_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.safetensors"
    save(path, {"generator": {"a": torch.ones(3)}}, {**STATE, "step": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=rf"^{re.escape(str(path))}: cannot be written \(.*space"):
        save(path, {"generator": {"a": torch.zeros(3)}}, {**STATE, "step": 2})
    found = load(path)
    assert (found.state, found.groups["generator"]["a"].tolist()) == (
        {**STATE, "step": 1},
        [1, 1, 1],
    )
    assert list(tmp_path.iterdir()) == [path]


OPTIMISERS: list[Callable[[list[nn.Parameter]], Optimizer]] = [
    optim.Adam,
    partial(optim.AdamW, weight_decay=0.1),
    optim.SGD,
    partial(optim.SGD, lr=0.01, momentum=0.9),
]


def test_the_layout_of_a_state_is_kept() -> None:
    """Sums over a column-major matrix round differently than over a row-major one."""
    weight = nn.Parameter(torch.zeros(2, 3, 4, 5))
    optimiser = optim.SGD([weight])
    layouts = [
        torch.rand(3, 4).T,
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.rand(4, 6)[:, ::2],
        torch.rand(3, 4),
        torch.rand(()),
    ]
    optimiser.state[weight] = {"kept": layouts}
    tensors, rest = pack_optimiser(optimiser, settings_of(optimiser))
    saved = {name: tensor.contiguous() for name, tensor in tensors.items()}
    again = optim.SGD([weight])
    unpack_optimiser(again, saved, json.loads(json.dumps(rest)))
    for found, layout in zip(again.state[weight]["kept"], layouts, strict=True):
        assert torch.equal(found, layout)
        assert found.stride() == torch.empty_like(layout).stride()


class Nested(optim.SGD):
    """Keeps a tree of tensors for each weight, and a number for each group that changes."""

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            group["distance"] = group.get("distance", 1.0) * 1.25
            for p in group["params"]:
                if p.grad is not None:
                    kept = self.state[p].setdefault("kept", [torch.zeros_like(p), {"n": 0}, []])
                    kept[0] += p.grad * group["distance"]
                    kept[1]["n"] += 1
                    p.data -= kept[0] / kept[1]["n"]


OPTIMISERS.append(Nested)


def step(net: nn.Module, optimiser: Optimizer, number: int) -> None:
    """Update the weights with a gradient that depends on the step; the last one has none."""
    chance = torch.Generator().manual_seed(number)
    for parameter in list(net.parameters())[:-1]:
        parameter.grad = torch.randn(parameter.shape, generator=chance)
    optimiser.step()


@pytest.mark.parametrize("make", OPTIMISERS)
@pytest.mark.parametrize("before", [0, 3])
def test_an_optimiser_resumes_exactly(
    tmp_path: Path, make: Callable[[list[nn.Parameter]], Optimizer], before: int
) -> None:
    net = Net()
    optimiser = make(list(net.parameters()))
    settings = settings_of(optimiser)
    for number in range(before):
        step(net, optimiser, number)
    tensors, rest = pack_optimiser(optimiser, settings)
    path = tmp_path / "last.safetensors"
    save(path, {"net": net.state_dict(), "optimiser": tensors}, {**STATE, "optimiser": rest})

    resumed = Net()
    found = load(path)
    warm_start(resumed, found.groups["net"], str(path))
    again = make(list(resumed.parameters()))
    unpack_optimiser(again, found.groups.get("optimiser", {}), found.state["optimiser"])
    for number in range(before, before + 3):
        step(net, optimiser, number)
        step(resumed, again, number)
        assert same(resumed.state_dict(), net.state_dict())


def fails(message: str) -> Any:
    return pytest.raises(WeightsError, match=f"^{message}$")


def test_missing_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    with fails(f"{re.escape(str(path))}: no such checkpoint"):
        load(path)


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1])
def test_truncated_checkpoint(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "last.safetensors"
    save(path, {"generator": Net().state_dict()}, {**STATE, "step": 1})
    path.write_bytes(path.read_bytes()[:kept])
    with fails(
        rf"{re.escape(str(path))}: incomplete or not a safetensors file \(.+\); use another.*"
    ):
        load(path)


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with fails(
        rf"{re.escape(str(path))}: incomplete or not a safetensors file \(.+\); use another.*"
    ):
        load(path)


@pytest.mark.parametrize("name", ["net.safetensors", "net.pth"])
def test_a_weight_file_is_not_a_checkpoint(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file({"a": torch.ones(1)}, path)
    assert read_state(path) is None
    with fails(f"{re.escape(str(path))}: contains weights, but is not a checkpoint of srkit"):
        load(path)
