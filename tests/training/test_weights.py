"""Weights of losses that change in the course of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_setup import Tree, extended, make_pictures, make_tree, records, run, steps

from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.interfaces import Batch
from srkit.recipe.parts import WeightSpec
from srkit.recipe.recipe import parse_recipe
from srkit.weights.checkpoints import load


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=8)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"to": 0.5, "start": 3}, [0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5]),
        ({"to": 1, "over": 4}, [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]),
        ({"from": 1, "to": 0.5, "start": "1 epoch", "over": 2}, [1, 1, 1, 0.75, 0.5, 0.5, 0.5]),
        ({"from": 2, "to": 2}, [2, 2]),
    ],
)
def test_a_weight_is_a_function_of_the_step(given: Tree, expected: list[float]) -> None:
    weight = WeightSpec.model_validate(given)
    assert [weight.at(step, 2.0) for step in range(len(expected))] == expected


class Counted:
    """The mean absolute difference, which counts how often it is computed."""

    calls = 0

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        Counted.calls += 1
        return (sr - batch.hr).abs().mean()


RISING = {"to": 0.4, "start": 2, "over": 2}


def test_weights_change_as_logged_and_losses_of_weight_0_rest(
    pictures: Path, tmp_path: Path
) -> None:
    losses = {"l1": {"weight": {"from": 1, "to": 0.5, "over": 4}}, "counted": {"weight": RISING}}
    gan = {"type": "unet_sn", "features": 4, "weight": {"to": 0.1, "start": 4}}
    tree = make_tree(pictures, {"losses": losses, "discriminator": gan}, steps(6))
    registry = extended(losses={"counted": Counted})
    Counted.calls = 0
    run(tree, tmp_path / "run", registry)
    logged = records(tmp_path / "run", "train")
    assert [each["weight/l1"] for each in logged] == [1, 0.875, 0.75, 0.625, 0.5, 0.5]
    assert [each["weight/counted"] for each in logged] == [0, 0, 0, 0.2, 0.4, 0.4]
    assert [each["weight/discriminator"] for each in logged] == [0, 0, 0, 0, 0.1, 0.1]
    # Rehearsed once, then computed where its weight is not 0.
    assert Counted.calls == 1 + 3
    assert ["loss/counted" in each for each in logged] == [False] * 3 + [True] * 3
    assert ["loss/adversarial" in each for each in logged] == [False] * 4 + [True] * 2
    assert all("loss/discriminator" in each for each in logged)
    for each in logged[3:]:
        equal = each["loss/l1"] / each["weight/l1"]
        assert each["loss/counted"] / each["weight/counted"] == pytest.approx(equal, rel=1e-5)


def test_changing_weights_resume_exactly(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    changes = {"losses": {"mse": {"weight": RISING}}}
    whole = load(run(make_tree(pictures, changes, steps(5)), tmp_path / "whole", registry))
    run(make_tree(pictures, changes, steps(3)), tmp_path / "parts", registry)
    tree = make_tree(pictures, changes, steps(5))
    parts = load(run(tree, tmp_path / "parts", registry, resume=True))
    for key, tensor in whole.groups["generator"].items():
        assert torch.equal(tensor, parts.groups["generator"][key])


def test_all_losses_may_rest(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    tree = make_tree(pictures, {"losses": {"l1": {"weight": {"to": 1, "start": 2}}}}, steps(3))
    run(tree, tmp_path / "run", registry)
    assert [each["loss/total"] > 0 for each in records(tmp_path / "run", "train")] == [
        *(False, False, True),
    ]


@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        ({"start": 3}, "losses.l1.weight.to: missing; it has no default"),
        ({"form": 3, "to": 1}, "losses.l1.weight.form: unknown key 'form'; did you mean 'from'?"),
        ({"to": 1, "over": "soon"}, "losses.l1.weight.over: got 'soon'; expected a number of"),
        ("heavy", "losses.l1.weight: got 'heavy'; expected a valid number"),
    ],
)
def test_wrong_weights(weight: Any, problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"name": "a", "losses": {"l1": {"weight": weight}}}, "test.yaml")
    (found,) = caught.value.problems
    assert found.startswith(problem)


@pytest.mark.parametrize("weight", [-0.5, {"from": -1, "to": 1}])
def test_the_weight_of_a_discriminator_is_not_negative(weight: Any) -> None:
    tree = {"name": "a", "discriminator": {"type": "patchgan", "weight": weight}}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(tree, "test.yaml")
    (found,) = caught.value.problems
    smallest = -0.5 if weight == -0.5 else -1.0
    expected = f"got {smallest}; expected a number greater than or equal to 0"
    assert found == f"discriminator.weight: {expected}"
