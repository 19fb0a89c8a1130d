"""What pixel values mean travels with the weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from rich.console import Console

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.interfaces import Batch
from srkit.interfaces.quantity import Quantity
from srkit.recipe.recipe import load_recipe
from srkit.training.loop import train
from srkit.weights.checkpoints import read_state


def test_round_trip_through_json() -> None:
    images = torch.zeros(1, 1, 4, 4)
    batch = Batch(
        ["a"], images, [0], data_range=(-1.0, 9.0), unit="count / s", pixel_scale=0.1, zero_point=27
    )
    quantity = Quantity.of(batch)
    assert quantity == Quantity("count / s", 27, 0.1, (-1.0, 9.0))
    assert Quantity.parse(json.loads(json.dumps(quantity.dump()))) == quantity


def test_a_checkpoint_says_what_its_network_was_trained_on(tmp_path: Path) -> None:
    recipe = load_recipe(
        Path(__file__).parents[2] / "recipes" / "lens_l2.yaml",
        [
            "training.duration=1",
            "training.workers=0",
            "data.train.dataset.length=16",
            "data.train.dataset.size=16",
            "data.validation=null",
            "data.test=null",
        ],
        sample=True,
    )
    assembly = assemble(recipe, Registry.discover(), "lens_l2", splits=SPLITS)
    path = train(assembly, tmp_path, source="lens_l2", console=Console())
    state = read_state(path)
    assert state is not None
    quantity = Quantity.parse(state["quantity"])
    assert (quantity.unit, quantity.zero_point) == ("count / s", 27.0)
    assert quantity.pixel_scale == 0.084
