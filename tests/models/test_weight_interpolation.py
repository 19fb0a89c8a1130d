"""Interpolation between the weights of runs, checkpoints and third-party files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from srkit_generators.rrdb import RRDB
from torch import Tensor
from training_setup import Tree, make_pictures, make_tree, run, steps

from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.models.open import open_model
from srkit.models.weight_interpolation import interpolate_weights
from srkit.recipe.trees import merge
from srkit.weights.checkpoints import load, read_state

LR = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_tree(make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4), steps(1))


@pytest.fixture(scope="module")
def runs(tree: Tree, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> list[Path]:
    """Two runs of one network, the second with averaged weights."""
    folder = tmp_path_factory.mktemp("runs")
    run(tree, folder / "one", registry)
    second = {"seed": 6, "name": "second", "training": {"ema": 0.5}}
    run(merge(tree, second), folder / "two", registry)
    return [folder / "one", folder / "two"]


def weights(folder: Path, group: str = "generator") -> dict[str, Tensor]:
    return load(folder / "checkpoints" / "last.safetensors").groups[group]


def files(tmp_path: Path, **changes: int) -> list[Path]:
    """Two third-party weight files of RRDB."""
    paths = []
    for name in ("a", "b"):
        paths.append(tmp_path / f"{name}.safetensors")
        given = {"blocks": 1, "features": 8, **(changes if name == "b" else {})}
        save_file(RRDB(scale=4, channels=3, **given).state_dict(), paths[-1])
    return paths


def blended(first: Path, second: Path, weight: float, out: Path, registry: Registry) -> None:
    interpolate_weights(str(first), str(second), weight, out, registry)


def refused(first: str | Path, second: str | Path, out: Path, registry: Registry) -> str:
    with pytest.raises(WeightsError) as caught:
        interpolate_weights(str(first), str(second), 0.5, out, registry)
    assert not out.exists()
    return str(caught.value)


def test_two_runs(runs: list[Path], tmp_path: Path, registry: Registry) -> None:
    out = tmp_path / "blend.safetensors"
    blended(*runs, 0.8, out, registry)
    model = open_model(out, registry)
    assert (model.name, model.scale, model.provenance.recipe) == ("blend", 2, "small")
    one, two, found = weights(runs[0]), weights(runs[1], "ema"), model.generator.state_dict()
    assert found.keys() == one.keys()
    for key, value in found.items():
        expected = (0.2 * one[key].double() + 0.8 * two[key].double()).float()
        torch.testing.assert_close(value, expected, atol=1e-7, rtol=1e-6)
    state = read_state(out)
    assert state is not None
    assert state["blend"]["weight"] == 0.8
    assert [part["recipe"] for part in state["blend"]["of"]] == ["small", "second"]


@pytest.mark.parametrize("weight", [0, 1])
def test_weights_of_0_and_1_give_the_two_networks(
    weight: int, runs: list[Path], tmp_path: Path, registry: Registry
) -> None:
    blended(*runs, weight, tmp_path / "end.safetensors", registry)
    found = open_model(tmp_path / "end.safetensors", registry).generator
    expected = open_model(runs[weight], registry).generator
    assert torch.equal(found(LR), expected(LR))


def test_two_third_party_files(tmp_path: Path, registry: Registry) -> None:
    """The result is a third-party file again, with the same keys."""
    one, two = files(tmp_path)
    out = tmp_path / "out" / "blend.safetensors"
    blended(one, two, 0.25, out, registry)
    found, first, second = load_file(out), load_file(one), load_file(two)
    assert read_state(out) is None
    for key, value in found.items():
        torch.testing.assert_close(value, 0.75 * first[key] + 0.25 * second[key])
    assert open_model(out, registry).generator(LR).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("run_first", [True, False])
def test_a_run_and_a_file(
    run_first: bool, runs: list[Path], tmp_path: Path, registry: Registry
) -> None:
    """The file contains weights of the network of the run, in either order."""
    path = tmp_path / "start.safetensors"
    network = RRDB(scale=2, channels=3, blocks=1, features=8, growth=4)
    save_file(network.state_dict(), path)
    pair = (runs[0], path) if run_first else (path, runs[0])
    blended(*pair, 0.25 if run_first else 0.75, tmp_path / "blend.safetensors", registry)
    found = open_model(tmp_path / "blend.safetensors", registry).generator.state_dict()
    one, two = weights(runs[0]), network.state_dict()
    for key, value in found.items():
        torch.testing.assert_close(value, 0.75 * one[key] + 0.25 * two[key])


def test_published_weights(tmp_path: Path, registry: Registry) -> None:
    out = tmp_path / "same.safetensors"
    interpolate_weights("rrdb_small_x4", "rrdb_small_x4", 0.3, out, registry)
    expected = open_model("rrdb_small_x4", registry).generator(LR)
    torch.testing.assert_close(open_model(out, registry).generator(LR), expected)


def test_integers_are_those_of_the_first(tmp_path: Path, registry: Registry) -> None:
    one, two = files(tmp_path)
    for number, path in enumerate((one, two)):
        save_file({**load_file(path), "count": torch.tensor(number)}, path)
    blended(one, two, 0.9, tmp_path / "blend.safetensors", registry)
    assert load_file(tmp_path / "blend.safetensors")["count"].item() == 0


def test_different_architectures_are_refused_with_their_keys(
    tmp_path: Path, registry: Registry
) -> None:
    one, two = files(tmp_path, blocks=2)
    message = refused(one, two, tmp_path / "x.safetensors", registry)
    head, table = message.split("\n", 1)
    assert head == f"{one} and {two} have different architectures"
    assert table.splitlines()[0].split("  ")[1:2] == ["key"]
    assert "body.1.rdb1.conv1.bias" in table
    assert "... and 10 more" in table


def test_networks_for_different_images_are_refused(
    runs: list[Path], tree: Tree, tmp_path: Path, registry: Registry
) -> None:
    change = {"name": "stretched", "stretch": {"type": "asinh", "peak": 1.0}}
    run(merge(tree, change), tmp_path / "stretched", registry)
    message = refused(runs[0], tmp_path / "stretched", tmp_path / "x.safetensors", registry)
    start = (
        f"{runs[0]} and {tmp_path / 'stretched'} have different images or options: "
        "stretch is None and {'type': 'asinh', "
    )
    assert message.startswith(start)


def test_wrong_arguments_are_refused(runs: list[Path], tmp_path: Path, registry: Registry) -> None:
    out = tmp_path / "x.safetensors"
    found = refused("rrdb_small_x4", "bicubic", out, registry)
    assert found == "'bicubic' has no weights to interpolate"
    path = tmp_path / "layers.safetensors"
    save_file({"layer": torch.zeros(1)}, path)
    assert refused(path, runs[0], out, registry).startswith(
        f"{path}: these are not weights of rrdb"
    )
    assert refused(runs[0], runs[1], tmp_path / "x.pth", registry) == (
        f"{tmp_path / 'x.pth'}: ends in '.pth'; expected .safetensors"
    )
    message = "the weight must be in [0, 1]; got 1.5"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        blended(*runs, 1.5, out, registry)
