"""Optimisers and schedules as a recipe sets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training_setup import extended, last, make_pictures, make_tree, run, steps, validated
from yaml import safe_load

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.recipe.recipe import parse_recipe


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=8)


def problems(pictures: Path, registry: Registry, **training: Any) -> list[str]:
    tree = make_tree(pictures)
    tree["training"] |= training
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(tree, "here"), registry, "here", splits=SPLITS)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("optimiser: {lr: fast}", "optimiser.lr: got 'fast'; expected a valid number"),
        ("optimiser: {lr: .inf}", "optimiser.lr: got inf; expected a finite number"),
        ("optimiser: {betas: 0.9}", "optimiser.betas: got 0.9; expected a list"),
        (
            "optimiser: {betas: [0, 0, 0]}",
            "optimiser.betas: got [0, 0, 0]; expected at most 2 items",
        ),
        ("optimiser: {betas: [0.9, 1]}", "optimiser.betas.1: got 1; expected a number less than 1"),
        (
            "optimiser: {type: adm}",
            "optimiser.type: unknown optimiser 'adm'; did you mean 'adam'?",
        ),
        (
            "optimiser: {beta: [0.9, 0.99]}",
            "optimiser.beta: unknown key 'beta'; did you mean 'betas'?",
        ),
        (
            "optimiser: {type: sgd, betas: [0.9, 0.99]}",
            "optimiser.betas: unknown key 'betas'; "
            "known: lr, momentum, nesterov, type, weight_decay",
        ),
        (
            "optimiser: {type: sgd, nesterov: true}",
            "optimiser: nesterov requires a momentum above 0",
        ),
        (
            "optimiser: {type: pytorch_optimizer, name: alig}",
            "optimiser: 'alig' cannot be used: it needs a closure",
        ),
        (
            "schedule: {type: steps}",
            "schedule: a schedule of type 'steps' requires either 'every' or 'milestones'",
        ),
        (
            "schedule: {type: steps, every: soon}",
            "schedule.every: got 'soon'; expected a number of steps or, for instance, '10 epochs'",
        ),
    ],
)
def test_a_wrong_setting(pictures: Path, registry: Registry, text: str, problem: str) -> None:
    assert problems(pictures, registry, **safe_load(text)) == [f"training.{problem}"]


def test_null_restores_the_default_of_an_option(pictures: Path, registry: Registry) -> None:
    tree = make_tree(pictures, {"training": {"optimiser": {"betas": None, "lr": None}}})
    recipe = assemble(parse_recipe(tree, "here"), registry, "here", splits=SPLITS).recipe
    assert recipe.dump()["training"]["optimiser"] == {
        "type": "adam",
        "lr": 1e-4,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "weight_decay": 0.0,
    }


def test_durations_of_a_schedule_are_written_as_text(pictures: Path, registry: Registry) -> None:
    schedule = {"type": "steps", "milestones": [10, "1.5 epochs"]}
    tree = make_tree(pictures, {"training": {"schedule": schedule}})
    recipe = assemble(parse_recipe(tree, "here"), registry, "here", splits=SPLITS).recipe
    dumped = recipe.dump()
    assert dumped["training"]["schedule"]["milestones"] == ["10 steps", "1.5 epochs"]
    again = assemble(parse_recipe(dumped, "here"), registry, "here", splits=SPLITS).recipe
    assert again.dump() == dumped


def test_only_training_builds_optimisers(pictures: Path, registry: Registry) -> None:
    tree = make_tree(pictures, validated(pictures))
    assembly = assemble(parse_recipe(tree, "here"), registry, "here", splits=["test"])
    assert (assembly.optimisers, assembly.schedule) == ({}, None)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda: lambda _: 3, "an optimiser must return a torch.optim.Optimizer, got int"),
        (
            lambda: lambda ps: Stubborn(ps, {"lr": 1.0}),
            "'kept' in the state of Stubborn must consist of tensors, numbers and text, got object",
        ),
    ],
)
def test_a_wrong_optimiser_is_attributed(pictures: Path, broken: Any, sentence: str) -> None:
    registry = extended(optimisers={"broken": broken})
    found = problems(pictures, registry, optimiser={"type": "broken"})
    assert found == [f"training.optimiser: optimiser 'broken' of test: {sentence}"]


class Stubborn(torch.optim.Optimizer):
    """Keeps what no checkpoint can hold."""

    def step(self, closure: Any = None) -> None:
        self.state[self.param_groups[0]["params"][0]]["kept"] = object()


def test_a_wrong_factor_is_attributed(pictures: Path) -> None:
    registry = extended(schedules={"broken": lambda: lambda *_: float("nan")})
    assert problems(pictures, registry, schedule={"type": "broken"}) == [
        "training.schedule: schedule 'broken' of test: a schedule must return a number from 0, "
        "got nan"
    ]


#: An optimiser whose groups change, one with lists of tensors, and one of two groups.
KINDS = {
    "prodigy": {"type": "prodigy"},
    "soap": {"type": "soap"},
    "muon": {"type": "muon"},
    "schedule_free": {"type": "schedule_free", "lr": 0.01},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumes_exactly(
    kind: str, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, validated(pictures), steps(6, optimiser=None))
    tree["training"]["optimiser"] = KINDS[kind]
    run(tree, tmp_path / "whole", registry)
    tree["training"]["duration"] = 3
    run(tree, tmp_path / "parts", registry)
    tree["training"]["duration"] = 6
    run(tree, tmp_path / "parts", registry, resume=True)
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    assert whole.state["optimisers"] == parts.state["optimisers"]
    assert whole.groups.keys() == parts.groups.keys()
    for name, group in whole.groups.items():
        assert all(torch.equal(tensor, parts.groups[name][key]) for key, tensor in group.items())


def test_schedule_free_validates_and_saves_averaged_weights(pictures: Path, tmp_path: Path) -> None:
    """The weights are x = y + (1 - 1 / beta) (z - y) of Defazio et al. 2024; y is trained."""
    seen = []

    def note(sr: torch.Tensor, batch: Any) -> torch.Tensor:
        seen.append(sr.detach().clone())
        return (sr - batch.hr).abs().mean()

    registry = extended(losses={"note": lambda: note})
    tree = make_tree(pictures, validated(pictures), steps(4, validate_every=2))
    tree["training"]["optimiser"] = {"type": "schedule_free", "lr": 0.02, "betas": [0.8, 0.99]}
    tree["losses"] = {"note": {}}
    run(tree, tmp_path / "run", registry)
    groups = last(tmp_path / "run").groups
    assert groups["trained.generator"].keys() == groups["generator"].keys()
    fresh = assemble(parse_recipe(tree, "here"), registry, "here", splits=SPLITS).generator
    for number, (key, _) in enumerate(fresh.named_parameters()):
        trained = groups["trained.generator"][key]
        average = groups["optimiser.generator"][f"{number}.z"]
        expected = trained + (1 - 1 / 0.8) * (average - trained)
        torch.testing.assert_close(groups["generator"][key], expected)
        assert not torch.equal(groups["generator"][key], trained)
    # Validations in between do not change the training.
    with_validations = list(seen)
    seen.clear()
    tree["training"]["validate_every"] = 4
    run(tree, tmp_path / "plain", registry)
    assert len(seen) == len(with_validations) > 4
    assert all(map(torch.equal, seen, with_validations))


def test_weights_are_averaged_once(pictures: Path, registry: Registry) -> None:
    found = problems(pictures, registry, optimiser={"type": "schedule_free"}, ema=0.9)
    assert found == ["training.ema: schedule_free averages the weights itself; remove one"]
