"""Numbers that no machine can hold, in recipes and in the metadata of checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from srkit.assembly import bounds
from srkit.assembly.build import assemble_restoring
from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.models.open import open_model
from srkit.recipe.recipe import parse_recipe
from srkit.weights.checkpoints import read_state

STATE = {"recipe": {"name": "x", "scale": 2}, "versions": {"srkit": "0"}, "quantity": None}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"features": 1e9}, "generator: its weights exceed the free memory of "),
        ({"blocks": 10**40}, "generator.blocks: got a number of 41 digits; expected at most 64 b"),
        ({"blocks": 10**9}, "generator: has more than 100 layers; lower blocks, 1e+09"),
        ({"blocks": "dense x100000000000"}, "generator: has more than 100 layers"),
    ],
)
def test_networks_that_no_machine_holds(
    options: dict[str, Any], problem: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LAYERS", 100)
    tree = {"name": "x", "scale": 2, "generator": {"type": "edsr", **options}}
    with pytest.raises(RecipeError) as caught:
        assemble_restoring(tree, registry, "recipe.yaml")
    (found,) = caught.value.problems
    assert found.startswith(problem)


def test_many_layers_within_memory_are_counted_without_their_values() -> None:
    """The trial allocates nothing: eight layers of half of the free memory each are refused."""
    side = int((bounds.free_memory() / 8) ** 0.5)

    def build(*, layers: int) -> nn.Module:
        return nn.Sequential(*(nn.Linear(side, side) for _ in range(layers)))

    options = {"layers": 1000}
    with (
        pytest.raises(bounds.TooLargeError, match="lower layers, 1000"),
        bounds.bounded(options),
    ):
        bounds.try_without_memory(build, options, {})
    with bounds.bounded({}):  # the hooks are removed
        nn.Linear(2, 2)


def test_a_head_that_no_machine_holds(registry: Registry) -> None:
    tree = {"name": "x", "generator": {"type": "edsr"}, "uncertainty": {"features": 1e9}}
    with pytest.raises(RecipeError, match=r"uncertainty: .* memory.*; lower features, 1e"):
        assemble_restoring(tree, registry, "recipe.yaml")


@pytest.mark.parametrize("key", ["seed", "scale", "channels"])
def test_numbers_of_a_recipe(key: str) -> None:
    with pytest.raises(RecipeError, match=f"{key}: got a number of 40 digits; expected at most 64"):
        parse_recipe({"name": "x", key: 10**39}, "recipe.yaml")


def write(path: Path, state: Any) -> Path:
    text = state if isinstance(state, str) else json.dumps(state)
    safetensors.torch.save_file({"generator/a": torch.zeros(1)}, path, {"srkit": text})
    return path


def test_metadata_that_claim_a_huge_network(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LAYERS", 100)
    recipe = {**STATE["recipe"], "generator": {"type": "edsr", "blocks": 10**9}}
    path = write(tmp_path / "x.safetensors", {**STATE, "recipe": recipe})
    with pytest.raises(RecipeError, match=f"^{path}: .*\n  generator: has more than 100 layers"):
        open_model(path, registry)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ("{", "srkit: Expecting property name"),
        ("[" * 100_000, "srkit: nested too deeply"),
        ([], "srkit: Input should be"),
        ({}, "srkit.recipe: Field required"),
        ({**STATE, "recipe": []}, "srkit.recipe: Input should be"),
        ({**STATE, "recipe": {}}, "srkit.recipe.name: Field required"),
        ({**STATE, "versions": {}}, "srkit.versions.srkit: Field required"),
        ({**STATE, "step": "7"}, "srkit.step: Input should be a valid integer"),
        ({**STATE, "quantity": {"data_range": 7}}, "srkit.quantity.data_range: Input should be"),
        ({**STATE, "best": [1]}, "srkit.best: List should have at least 2 items"),
    ],
)
def test_damaged_metadata(tmp_path: Path, state: Any, problem: str) -> None:
    path = write(tmp_path / "x.safetensors", state)
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert str(caught.value).startswith(f"{path}: its metadata are damaged ({problem}")
    assert str(caught.value).endswith("); use another checkpoint")
