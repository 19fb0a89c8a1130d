"""A search of a small network's numbers: true runs in processes of their own."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Srkit
from optuna.distributions import FloatDistribution, IntDistribution
from training_setup import Tree, last, make_pictures, make_tree, steps, validated, write_recipe

from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.recipe.parts import RangeSpec
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.variants import Variant
from srkit.studies.sweeps import search as searching
from srkit.studies.sweeps.search import Trials, _distribution, plan_search
from srkit.studies.sweeps.tasks import Setting, Task
from srkit.system.files import write_file


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def searched(pictures: Path, space: Any, trials: int = 2, **more: Any) -> Tree:
    search: Tree = {"search": {"trials": trials, "space": space}}
    brief = steps(1, validate_every=1)
    figures: Tree = {"evaluation": {"examples": 0, "baselines": ["bicubic"]}}
    return make_tree(pictures, validated(pictures), brief, figures, search, more)


SPACE = {
    "training.optimiser.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "generator.features": {"low": 4, "high": 12, "step": 4},
}


# --- what a user sees ---------------------------------------------------------------------------


def test_a_search_goes_on_where_it_stopped(srkit: Srkit, pictures: Path, tmp_path: Path) -> None:
    path = write_recipe(searched(pictures, SPACE), tmp_path / "small.yaml")
    assert srkit("sweep", path, "search.trials=1").status == 0
    done = srkit("sweep", path)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[:3] == [
        "trial-000: trained already",
        "trial-001: starts",
        "trial-001: done, 2 of 2",
    ]
    folder = tmp_path / "runs" / "small-search"
    states = [last(folder / "variants" / f"trial-00{i}").state for i in range(2)]
    best = max(range(2), key=lambda i: states[i]["best"][0])
    recipe = states[best]["recipe"]
    assert 1e-4 <= recipe["training"]["optimiser"]["lr"] <= 1e-2
    assert recipe["generator"]["features"] in (4, 8, 12)
    assert f"Best on the validation images: trial-00{best}, psnr" in done.out
    assert f"generator.features={recipe['generator']['features']}" in done.out
    assert (folder / "search.png").is_file()
    other = srkit("sweep", path, "search.space={generator.features: {high: 16}}")
    assert other.status == 1
    assert other.err.startswith(f"error: {folder.relative_to(tmp_path)}: holds a search of ")
    assert other.err.endswith("; choose another --out\n")


def test_without_optuna(
    srkit: Srkit, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    path = write_recipe(searched(pictures, SPACE), tmp_path / "small.yaml")
    assert srkit("sweep", path).err == (
        "error: the package optuna is not installed; install srkit[search]: "
        'pip install "srkit[search]"\n'
    )


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        (
            ["search.space={name: {low: 0, high: 1}}", "data.validation=null", "variants.seed=[1]"],
            [
                "search.space: 'name' is not searched; take it out",
                "variants: a search has its own; take out either",
                "data.validation: missing; a search compares its trials on it",
            ],
        ),
        (
            ["search.space={generator.featurs: {low: 1, high: 2}, seed: {low: -1, high: 2}}"],
            [
                "lowest: seed: got -1; expected greater than or equal to 0",
                "generator.featurs: unknown key 'featurs'; did you mean 'features'?",
            ],
        ),
        (
            ["search.space.seed={low: 2, high: 2}"],
            ["search.space.seed: low is 2 and high is 2; expected low below high"],
        ),
        (
            ["search.space.seed={low: 0, high: 2, log: true}"],
            ["search.space.seed: low is 0; expected more than 0 for a logarithm"],
        ),
        (
            ["search.space.seed={low: 1, high: 2, log: true, step: 1}"],
            ["search.space.seed: 'step' and 'log' exclude each other; remove one"],
        ),
        (["search.trials=0"], ["search.trials: got 0; expected greater than 0"]),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_trained(
    changes: list[str], problems: list[str], srkit: Srkit, pictures: Path, tmp_path: Path
) -> None:
    path = write_recipe(searched(pictures, SPACE), tmp_path / "small.yaml")
    done = srkit("sweep", path, *changes)
    assert done.status == 1
    assert done.err.splitlines()[1:] == [f"  {problem}" for problem in problems]
    assert not (tmp_path / "runs").exists()


# --- trials, without training them --------------------------------------------------------------


@pytest.fixture
def setting(
    pictures: Path, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> Setting:
    """Give the setting of a search whose trials need no training to have a value."""
    space = {"training.optimiser.lr": {"low": 1e-4, "high": 1.0, "log": True}}
    tree = searched(pictures, space, trials=12)
    base = parse_recipe(tree, "small.yaml")
    monkeypatch.setattr(searching, "_validated", lambda task: -abs(_lr(task) - 0.01))
    return Setting(base, tree, registry, tmp_path, "small.yaml", {})


def _lr(task: Task) -> float:
    return task.recipe.training.optimiser.lr


def numbers(setting: Setting, *, until: int, failing: Sequence[str] = ()) -> list[float]:
    """Go on with a search until so many trials, and list the numbers of the new ones."""
    trials = Trials(setting, plan_search(setting))
    found = []
    for task in trials.pending(until):
        found.append(_lr(task))
        write_file(task.recipe_file, task.text())
        write_file(task.output, "error: it failed\n")
        trials.end(task.name, "it failed" if task.name in failing else "")
        if not trials.reasons[task.name]:
            write_file(task.table, "{}")
    return found


def test_a_search_that_goes_on_proposes_what_it_would_have(
    setting: Setting, tmp_path: Path
) -> None:
    whole = numbers(setting, until=11)
    parts = replace(setting, folder=tmp_path / "parts")
    parts.folder.mkdir()
    assert numbers(parts, until=4) + numbers(parts, until=11) == whole
    assert len(set(whole)) == 11
    assert min(whole[10:]) > 1e-4


def test_a_trial_that_failed_is_not_tried_again(setting: Setting) -> None:
    numbers(setting, until=2, failing=["trial-001"])
    again = Trials(setting, plan_search(setting))
    assert again.reasons == {"trial-000": "", "trial-001": "it failed"}
    assert list(again.pending(2)) == []


def test_a_trial_that_was_stopped_comes_first(setting: Setting) -> None:
    trials = Trials(setting, plan_search(setting))
    stopped = next(trials.pending(2))
    again = Trials(setting, plan_search(setting))
    first, second = again.pending(2)
    assert (first.name, second.name) == ("trial-000", "trial-001")
    assert _lr(first) == _lr(stopped)


def test_a_trial_that_was_never_validated_has_failed(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_validated", lambda task: math.nan)
    trials = Trials(setting, plan_search(setting))
    task = next(trials.pending(1))
    trials.end(task.name, "")
    assert trials.reasons == {"trial-000": "psnr was never measured on the validation images"}


def test_proposals_that_make_no_recipe_are_told_and_left_out(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = Trials(setting, plan_search(setting))
    planned = searching.plan

    def refuse(variants: Sequence[Variant], given: Setting) -> list[Task]:
        raise RecipeError("small.yaml", [f"{variants[0].name}: odd"])

    monkeypatch.setattr(searching, "plan", refuse)
    with pytest.raises(RecipeError, match="trial-000: odd"):
        list(trials.pending(1))
    monkeypatch.setattr(searching, "plan", planned)
    again = Trials(setting, plan_search(setting))
    assert [task.name for task in again.pending(1)] == ["trial-001"]


def test_whole_ends_make_whole_numbers() -> None:
    whole = _distribution(RangeSpec(low=2, high=8, step=2))
    assert isinstance(whole, IntDistribution)
    assert (whole.low, whole.high, whole.step) == (2, 8, 2)
    broken = _distribution(RangeSpec(low=1e-5, high=1, log=True))
    assert isinstance(broken, FloatDistribution)
    assert (broken.low, broken.high, broken.log) == (1e-5, 1, True)
