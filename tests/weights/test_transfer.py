"""Start networks from weights of every kind."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_setup import STATE, Net, foreign, same

from srkit.errors import WeightsError
from srkit.interfaces import Published
from srkit.weights import transfer
from srkit.weights.checkpoints import save
from srkit.weights.transfer import starting_weights, warm_start


def fails(message: str) -> Any:
    return pytest.raises(WeightsError, match=f"^{message}$")


def test_starts_from_a_weight_file(tmp_path: Path) -> None:
    net = Net()
    path = tmp_path / "net.pth"
    torch.save({"params": foreign(net)}, path)
    assert same(starting_weights(str(path), net), net.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "net_g.", "model._orig_mod.", "generator."])
def test_starts_from_a_file_of_a_training_script(tmp_path: Path, prefix: str) -> None:
    net = Net()
    path = tmp_path / "net.ckpt"
    tensors = {f"{prefix}{key}": tensor for key, tensor in foreign(net).items()}
    rest = {} if prefix == "module." else {"net_d.weight": torch.ones(2)}
    torch.save({"state_dict": {**tensors, **rest}}, path)
    assert same(starting_weights(str(path), net), net.state_dict())


class Harmful:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", [2, 4])
def test_pickle_that_runs_code(tmp_path: Path, protocol: int) -> None:
    path, trace = tmp_path / "net.pth", tmp_path / "trace"
    content = {"params": foreign(Net()), "extra": Harmful(trace)}
    torch.save(content, path, pickle_protocol=protocol)
    with fails(
        f"{re.escape(str(path))}: refused, since reading the objects in it could run code; .*"
    ):
        starting_weights(str(path), Net())
    assert not trace.exists()


def write(path: Path, **groups: Net) -> None:
    save(path, {name: net.state_dict() for name, net in groups.items()}, STATE)


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
    message = f"{tmp_path}: no checkpoint in this folder; expected {best} or last.safetensors"
    with fails(re.escape(message)):
        starting_weights(str(tmp_path), Net())


def test_starts_from_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    torch.save(foreign(net), tmp_path / "net_x4.pth")

    def fetch(name: str, published: Published) -> Path:
        assert published is Net.published[name]
        return tmp_path / f"{name}.pth"

    monkeypatch.setattr(transfer, "fetch", fetch)
    assert same(starting_weights("net_x4", Net()), net.state_dict())


@pytest.mark.parametrize(
    ("given", "hint"), [("net_x2", r"did you mean 'net_x4'\?"), ("lens", "known: net_x4")]
)
def test_unknown_start(given: str, hint: str) -> None:
    with fails(f"'{given}' is not a file, a run folder or the name of published weights; {hint}"):
        starting_weights(given, Net())


def test_warm_start_loads_every_weight() -> None:
    net, given = Net(), Net().state_dict()
    assert warm_start(net, given, "net.pth") == []
    assert same(net.state_dict(), given)


def test_half_precision_is_loaded_in_full() -> None:
    net = Net()
    half = {key: value.half() for key, value in Net().state_dict().items()}
    warm_start(net, half, "net.pth")
    assert net.head.weight.dtype == torch.float32
    assert torch.equal(net.head.weight, half["head.weight"].float())


def test_weights_of_another_network() -> None:
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    given = Net(width=8).state_dict()
    del given["norm.num_batches_tracked"], given["tail.bias"]
    given["body.0.weight"] = torch.zeros(8, 8, 3, 3)
    message = """\
net.pth: does not fit Net, 10 keys differ; change the generator's options, or list the keys that \
may differ in start.reinitialise
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


def test_a_long_table_is_truncated() -> None:
    given = {f"block.{number:02}.weight": torch.zeros(2) for number in range(30)}
    with pytest.raises(WeightsError) as caught:
        warm_start(Net(), given, "net.pth")
    lines = str(caught.value).splitlines()
    assert "39 keys differ" in lines[0]
    assert len(lines) == 23
    assert lines[-1] == "  ... and 19 more"


def test_reinitialised_weights_keep_their_values() -> None:
    net, given = Net(), Net().state_dict()
    given["tail.weight"] = torch.zeros(12, 4, 1, 1)
    given["tail.extra"] = torch.zeros(1)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert warm_start(net, given, "net.pth", ["tail.*"]) == ["tail.weight", "tail.bias"]
    found = net.state_dict()
    for key, value in before.items():
        assert torch.equal(found[key], value if key.startswith("tail.") else given[key])


def test_other_keys_than_those_reinitialised_must_fit() -> None:
    given = Net().state_dict()
    del given["head.bias"], given["tail.bias"]
    with pytest.raises(WeightsError, match=r"1 key differs; .*\n.*\n  head\.bias +- +4$"):
        warm_start(Net(), given, "net.pth", ["tail.*"])
