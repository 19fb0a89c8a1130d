from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from srkit.errors import OutputError, WeightsError
from srkit.interfaces import Published
from srkit.recipe.parts import OptimiserSpec
from srkit.training.optimisers import make_optimiser
from srkit.weights import checkpoints
from srkit.weights.checkpoints import (
    load,
    pack_optimiser,
    read_state,
    save,
    starting_weights,
    unpack_optimiser,
    warm_start,
)


class Net(nn.Module):
    """A small network; published files call its head ``first``."""

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
    """Name the weights as a published file does."""
    return {key.replace("head.", "first."): value for key, value in net.state_dict().items()}


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[key].dtype == tensor.dtype and torch.equal(found[key], tensor)
        for key, tensor in expected.items()
    )


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
    save(path, groups, state)
    found = load(path)
    assert found.groups.keys() == groups.keys()
    assert all(same(found.groups[name], groups[name]) for name in groups)
    assert found.state == state
    assert read_state(path) == state


def test_saves_what_shares_memory(tmp_path: Path) -> None:
    weight = torch.arange(4.0)
    save(tmp_path / "a.safetensors", {"net": {"a": weight, "b": weight, "c": weight[:2]}}, {})
    found = load(tmp_path / "a.safetensors").groups["net"]
    assert [found[key].tolist() for key in "abc"] == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1]]


def test_failed_save_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.safetensors"
    save(path, {"generator": {"a": torch.ones(3)}}, {"step": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=rf"^{re.escape(str(path))}: cannot be written \(.*space"):
        save(path, {"generator": {"a": torch.zeros(3)}}, {"step": 2})
    found = load(path)
    assert (found.state, found.groups["generator"]["a"].tolist()) == ({"step": 1}, [1, 1, 1])
    assert list(tmp_path.iterdir()) == [path]


OPTIMISERS: list[dict[str, Any]] = [
    {"type": "adam"},
    {"type": "adamw", "weight_decay": 0.1},
    {"type": "sgd"},
    {"type": "sgd", "momentum": 0.9},
    {"type": "lion", "weight_decay": 0.1},
]


def step(net: nn.Module, optimiser: Optimizer, number: int) -> None:
    """Change the weights by a gradient that is a function of the step; the last has none."""
    chance = torch.Generator().manual_seed(number)
    for parameter in list(net.parameters())[:-1]:
        parameter.grad = torch.randn(parameter.shape, generator=chance)
    optimiser.step()


@pytest.mark.parametrize("written", OPTIMISERS)
@pytest.mark.parametrize("before", [0, 3])
def test_optimiser_goes_on_bit_for_bit(
    tmp_path: Path, written: dict[str, Any], before: int
) -> None:
    spec = OptimiserSpec.model_validate({"lr": 0.01, **written})
    net = Net()
    optimiser = make_optimiser(spec, net.parameters())
    for number in range(before):
        step(net, optimiser, number)
    tensors, rest = pack_optimiser(optimiser)
    path = tmp_path / "last.safetensors"
    save(path, {"net": net.state_dict(), "optimiser": tensors}, {"optimiser": rest})

    resumed = Net()
    found = load(path)
    warm_start(resumed, found.groups["net"], str(path))
    again = make_optimiser(spec, resumed.parameters())
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
    save(path, {"generator": Net().state_dict()}, {"step": 1})
    path.write_bytes(path.read_bytes()[:kept])
    with fails(rf"{re.escape(str(path))}: not a whole safetensors file \(.+\); use another.*"):
        load(path)


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with fails(rf"{re.escape(str(path))}: not a whole safetensors file \(.+\); use another.*"):
        load(path)


@pytest.mark.parametrize("name", ["net.safetensors", "net.pth"])
def test_weights_are_no_checkpoint(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file({"a": torch.ones(1)}, path)
    assert read_state(path) is None
    with fails(f"{re.escape(str(path))}: holds weights, but is no srkit checkpoint to resume from"):
        load(path)


def test_starts_from_a_weight_file(tmp_path: Path) -> None:
    net = Net()
    path = tmp_path / "net.pth"
    torch.save({"params": foreign(net)}, path)
    assert same(starting_weights(str(path), net), net.state_dict())


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", [2, 4])
def test_pickle_that_runs_code(tmp_path: Path, protocol: int) -> None:
    path, trace = tmp_path / "net.pth", tmp_path / "trace"
    content = {"params": foreign(Net()), "extra": Harmful(trace)}
    torch.save(content, path, pickle_protocol=protocol)
    with fails(f"{re.escape(str(path))}: refused, since it holds more than tensors and .*"):
        starting_weights(str(path), Net())
    assert not trace.exists()


def write(path: Path, **groups: Net) -> None:
    save(path, {name: net.state_dict() for name, net in groups.items()}, {"step": 1})


def test_starts_from_a_checkpoint(tmp_path: Path) -> None:
    net, average = Net(), Net()
    path = tmp_path / "step100.safetensors"
    write(path, generator=net, discriminator=Net())
    assert same(starting_weights(str(path), Net()), net.state_dict())
    write(path, generator=net, ema=average)
    assert same(starting_weights(str(path), Net()), average.state_dict())


def test_checkpoint_without_a_generator(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    write(path, teacher=Net())
    with fails(f"{re.escape(str(path))}: a checkpoint without a generator"):
        starting_weights(str(path), Net())


def test_starts_from_a_run_folder(tmp_path: Path) -> None:
    last, best = Net(), Net()
    write(tmp_path / "checkpoints" / "last.safetensors", generator=last)
    assert same(starting_weights(str(tmp_path), Net()), last.state_dict())
    write(tmp_path / "checkpoints" / "best.safetensors", generator=best)
    assert same(starting_weights(str(tmp_path), Net()), best.state_dict())


def test_folder_without_checkpoints(tmp_path: Path) -> None:
    best = tmp_path / "checkpoints" / "best.safetensors"
    message = f"{tmp_path}: no run folder; expected {best} or last.safetensors"
    with fails(re.escape(message)):
        starting_weights(str(tmp_path), Net())


def test_starts_from_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    torch.save(foreign(net), tmp_path / "net_x4.pth")

    def fetch(name: str, published: Published) -> Path:
        assert published is Net.published[name]
        return tmp_path / f"{name}.pth"

    monkeypatch.setattr(checkpoints, "fetch", fetch)
    assert same(starting_weights("net_x4", Net()), net.state_dict())


@pytest.mark.parametrize(
    ("given", "hint"), [("net_x2", r"did you mean 'net_x4'\?"), ("lens", "known: net_x4")]
)
def test_unknown_start(given: str, hint: str) -> None:
    with fails(f"'{given}' is no file, run folder or published name; {hint}"):
        starting_weights(given, Net())


def test_warm_start_takes_every_weight() -> None:
    net, given = Net(), Net().state_dict()
    assert warm_start(net, given, "net.pth") == []
    assert same(net.state_dict(), given)


def test_half_precision_is_loaded_in_full() -> None:
    net = Net()
    half = {key: value.half() for key, value in Net().state_dict().items()}
    warm_start(net, half, "net.pth")
    assert net.head.weight.dtype == torch.float32
    assert torch.equal(net.head.weight, half["head.weight"].float())


def test_checkpoint_of_another_network() -> None:
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    given = Net(width=8).state_dict()
    del given["norm.num_batches_tracked"], given["tail.bias"]
    given["body.0.weight"] = torch.zeros(8, 8, 3, 3)
    message = """\
net.pth: made for another network than Net; 10 keys differ. Change the generator's options, or \
name what may differ in start.reinitialise
  key                       in the file  in the network
  head.weight               8x3x1x1      4x3x1x1
  head.bias                 8            4
  norm.weight               8            4
  norm.bias                 8            4
  norm.running_mean         8            4
  norm.running_var          8            4
  norm.num_batches_tracked  -            scalar
  tail.weight               3x8x1x1      3x4x1x1
  tail.bias                 -            3
  body.0.weight             8x8x3x3      -"""
    with fails(re.escape(message)):
        warm_start(net, given, "net.pth")
    assert same(net.state_dict(), before)


def test_long_table_is_cut() -> None:
    given = {f"block.{number:02}.weight": torch.zeros(2) for number in range(30)}
    with pytest.raises(WeightsError) as caught:
        warm_start(Net(), given, "net.pth")
    lines = str(caught.value).splitlines()
    assert "39 keys differ" in lines[0]
    assert len(lines) == 23
    assert lines[-1] == "  ... and 19 more"


def test_reinitialised_weights_stay_fresh() -> None:
    net, given = Net(), Net().state_dict()
    given["tail.weight"] = torch.zeros(12, 4, 1, 1)
    given["tail.extra"] = torch.zeros(1)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert warm_start(net, given, "net.pth", ["tail.*"]) == ["tail.weight", "tail.bias"]
    found = net.state_dict()
    for key, value in before.items():
        assert torch.equal(found[key], value if key.startswith("tail.") else given[key])


def test_reinitialise_forgives_nothing_else() -> None:
    given = Net().state_dict()
    del given["head.bias"], given["tail.bias"]
    with pytest.raises(WeightsError, match=r"1 key differs\. .*\n.*\n  head\.bias +- +4$"):
        warm_start(Net(), given, "net.pth", ["tail.*"])
