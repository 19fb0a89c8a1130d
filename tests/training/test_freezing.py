"""Stages keep their weights as long as the recipe says, and then train."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_setup import (
    Tree,
    assert_same_end,
    make_pictures,
    make_tree,
    run,
    steps,
    validated,
)

from srkit.assembly.build import assemble
from srkit.components.durations import Length
from srkit.components.registry import Registry
from srkit.errors import RecipeError, TrainingError
from srkit.recipe.parts import StartSpec
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge
from srkit.training.freezing import Freezing, frozen_stages
from srkit.weights.checkpoints import load


class Net(nn.Module):
    """Three stages, of which the middle one has statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.tail = nn.Conv2d(2, 1, 1)

    def stages(self) -> dict[str, nn.Module]:
        return dict(self.named_children())


def start(**given: Any) -> StartSpec:
    return StartSpec(weights="x", **given)


def trained(net: nn.Module) -> list[str]:
    return [name for name, parameter in net.named_parameters() if parameter.requires_grad]


def test_the_last_matching_pattern_decides() -> None:
    stages = ["head", *(f"body.{number}" for number in range(12)), "tail"]
    spans = start(freeze={"body.*": 100, "body.1?": "always", "head": "2 epochs"}).frozen
    found = frozen_stages(spans, stages)
    expected: dict[str, Any] = {f"body.{number}": Length(100, "steps") for number in range(10)}
    expected |= {"body.10": "always", "body.11": "always", "head": Length(2, "epochs")}
    assert found == expected
    assert list(found) == stages[:-1]


def test_a_list_of_stages_is_frozen_always() -> None:
    given = start(freeze=["head", "tail"])
    assert given.frozen == {"head": "always", "tail": "always"}
    net: Any = Net()
    Freezing(net, given)
    assert trained(net) == ["norm.weight", "norm.bias"]
    net = Net()
    Freezing(net, start(freeze=["head", "tail"], reinitialise=["head.bias", "tail.*"]))
    expected = ["head.bias", "norm.weight", "norm.bias", "tail.weight", "tail.bias"]
    assert trained(net) == expected
    net = Net()
    Freezing(net, start())
    assert len(trained(net)) == 6


def test_what_is_frozen_depends_on_the_step_alone() -> None:
    net: Any = Net()
    spans = {"head": "always", "norm": 2, "tail": "0.5 epochs"}
    given = start(freeze=spans, reinitialise=["tail.bias"])
    freezing = Freezing(net, given)
    later = [name for name, _ in net.named_parameters() if not name.startswith("head")]
    assert trained(net) == later  # those of several processes are set up with these
    norm, tail = ["norm.weight", "norm.bias"], ["tail.weight", "tail.bias"]
    states = {0: tail[1:], 1: tail[1:], 2: norm + tail[1:], 4: norm + tail[1:], 5: norm + tail}
    for step in (0, 1, 2, 4, 5, 1, 5, 0):
        freezing.hold(step, 10)
        assert trained(net) == states[step], step
        net.train()
        freezing.keep_statistics()
        assert net.norm.training == (step >= 2)
        assert not net.head.training


def test_at_least_one_parameter_has_to_train() -> None:
    net: Any = Net()
    freezing = Freezing(net, start(freeze={"*": 2}))
    with pytest.raises(TrainingError) as caught:
        freezing.hold(1, 10)
    assert str(caught.value) == (
        "nothing is left to train at step 1: every parameter is frozen; shorten start.freeze"
    )
    freezing.hold(2, 10)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("head", "start.freeze: got 'head'; expected a list"),
        (
            {"head": "forever"},
            "start.freeze.head: got 'forever'; expected a number of steps or, for instance, "
            "'10 epochs', or 'always'",
        ),
    ],
)
def test_bad_spans(given: Any, problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"name": "x", "start": {"weights": "x", "freeze": given}}, "here")
    assert caught.value.problems == [problem]


def test_spans_are_dumped_and_parsed_again() -> None:
    given = {"head": "always", "body.0": "2 epochs", "tail": 100, "norm": None}
    tree = {"name": "x", "start": {"weights": "x", "freeze": given}}
    dumped = parse_recipe(tree, "here").dump()
    written = {"head": "always", "body.0": "2 epochs", "tail": "100 steps"}
    assert dumped["start"]["freeze"] == written
    assert parse_recipe(dumped, "here").dump() == dumped


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=8)


@pytest.fixture(scope="module")
def begun(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry
) -> tuple[Path, Tree]:
    """A trained network, and a recipe that thaws it stage by stage."""
    folder = tmp_path_factory.mktemp("runs")
    plain = make_tree(pictures, steps(1))
    run(plain, folder / "first", registry)
    spans = {"conv_first": "always", "body.*": "2 epochs", "conv_up*": 2}
    thawed = {"weights": str(folder / "first"), "freeze": spans, "l2_sp": 0.1}
    # Two steps an epoch.
    game = {"discriminator": {"type": "unet_sn", "features": 4, "weight": 0.1}}
    return folder, merge(plain, {"start": thawed, **game, **steps(6, keep_every=1, clip=0.5)})


def test_stages_thaw_one_after_another_and_resume_exactly(
    begun: tuple[Path, Tree], tmp_path: Path, registry: Registry
) -> None:
    folder, tree = begun
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(tree, whole, registry)
    states = [load(folder / "first/checkpoints/last.safetensors").groups["generator"]]
    kept = sorted((whole / "checkpoints").glob("step_*"))
    states += [load(path).groups["generator"] for path in kept]
    assert len(states) == 7

    def stayed(stage: str) -> list[bool]:
        """Tell of each step whether it left the stage as it was."""
        keys = [key for key in states[0] if key.startswith(stage)]
        assert keys
        pairs = pairwise(states)
        return [all(torch.equal(one[key], two[key]) for key in keys) for one, two in pairs]

    assert stayed("conv_first.") == [True] * 6
    assert stayed("conv_up1.") == [True] * 2 + [False] * 4
    assert stayed("body.0.") == [True] * 4 + [False] * 2
    assert stayed("conv_last.") == [False] * 6
    run(merge(tree, steps(3)), parts, registry)
    run(tree, parts, registry, resume=True)
    assert_same_end(whole, parts)


def test_an_unknown_stage_is_named(pictures: Path, registry: Registry, tmp_path: Path) -> None:
    given = {"weights": str(pictures), "freeze": {"conv_frist": 10, "body.*": "always"}}
    tree = make_tree(pictures, validated(pictures), {"start": given})
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(tree, "here"), registry, "here", splits=("train",))
    assert caught.value.problems == [
        "start.freeze: unknown stage 'conv_frist' of rrdb; did you mean 'conv_first'?"
    ]
