"""A search of the values of a small network."""

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
from sweep_setup import PSNR, run_jobs_here
from training_setup import Tree, last, make_pictures, make_tree, steps, validated, write_recipe

from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.recipe.parts import RangeSpec
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.variants import Variant, change
from srkit.studies.sweeps import measure, search
from srkit.studies.sweeps.runs import SweepSetup, VariantRun
from srkit.studies.sweeps.search import TrialQueue, _distribution
from srkit.system.files import write_file


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def searched(pictures: Path, space: Any, trials: int = 2, **more: Any) -> Tree:
    spec: Tree = {"search": {"trials": trials, "space": space}}
    brief = steps(1, validate_every=1)
    figures: Tree = {"evaluation": {"examples": 0, "baselines": ["bicubic"]}}
    return make_tree(pictures, validated(pictures), brief, figures, spec, more)


SPACE = {
    "training.optimiser.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "generator.features": {"low": 4, "high": 12, "step": 4},
}


# --- the command --------------------------------------------------------------------------------


@pytest.mark.slow
def test_search_is_resumed(
    srkit: Srkit, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "run_jobs", run_jobs_here)
    path = write_recipe(searched(pictures, SPACE), tmp_path / "small.yaml")
    assert srkit("sweep", path, "search.trials=1").status == 0
    done = srkit("sweep", path)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[:3] == [
        "trial-000: already trained",
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
    assert other.err.startswith(f"error: {folder.relative_to(tmp_path)}: contains a search of ")
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
                "search.space: 'name' cannot be searched; remove it",
                "variants: cannot be combined with search; remove one",
                "data.validation: missing; a search compares its trials on it",
            ],
        ),
        (
            ["search.space={generator.featurs: {low: 1, high: 2}, seed: {low: -1, high: 2}}"],
            [
                "lowest: seed: got -1; expected a number greater than or equal to 0",
                "generator.featurs: unknown key 'featurs'; did you mean 'features'?",
            ],
        ),
        (
            ["search.space.seed={low: 2, high: 2}"],
            ["search.space.seed: low is 2 and high is 2; low must be below high"],
        ),
        (
            ["search.space.seed={low: 0, high: 2, log: true}"],
            ["search.space.seed: low is 0; must be positive for a logarithmic scale"],
        ),
        (
            ["search.space.seed={low: 1, high: 2, log: true, step: 1}"],
            ["search.space.seed: 'step' and 'log' cannot be combined; remove one"],
        ),
        (["search.trials=0"], ["search.trials: got 0; expected a number greater than 0"]),
    ],
)
def test_errors_are_reported_before_anything_is_trained(
    changes: list[str], problems: list[str], srkit: Srkit, pictures: Path, tmp_path: Path
) -> None:
    path = write_recipe(searched(pictures, SPACE), tmp_path / "small.yaml")
    done = srkit("sweep", path, *changes)
    assert done.status == 1
    assert done.err.splitlines()[1:] == [f"  {problem}" for problem in problems]
    assert not (tmp_path / "runs").exists()


# --- trials, without training them --------------------------------------------------------------


def prepared(variants: Sequence[Variant], setup: SweepSetup) -> list[VariantRun]:
    """Prepare runs without building their components."""
    runs = []
    for variant in variants:
        tree, _ = change(setup.tree, variant.changes)
        recipe = parse_recipe(tree, setup.source)
        runs.append(VariantRun(variant, recipe, [PSNR], 1, setup.folder))
    return runs


def _lr(run: VariantRun) -> float:
    return run.recipe.training.optimiser.lr


@pytest.fixture
def setup(
    pictures: Path, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> SweepSetup:
    """Return a search whose trials have a value without training."""
    space = {"training.optimiser.lr": {"low": 1e-4, "high": 1.0, "log": True}}
    tree = searched(pictures, space, trials=2)
    monkeypatch.setattr(search, "prepare_runs", prepared)
    monkeypatch.setattr(VariantRun, "validated", lambda run: -abs(_lr(run) - 0.01))
    return SweepSetup(parse_recipe(tree, "small.yaml"), tree, registry, tmp_path, "small.yaml", {})


def opened(setup: SweepSetup, total: int = 2) -> TrialQueue:
    queue = TrialQueue(setup)
    queue.total = total
    queue.open()
    return queue


def rates(setup: SweepSetup, *, until: int, failing: Sequence[str] = ()) -> list[float]:
    """Resume a search until it has so many trials, and return the values of the new ones."""
    queue = opened(setup, until)
    found = []
    for run in queue.pending():
        found.append(_lr(run))
        write_file(run.recipe_file, run.text())
        write_file(run.output, "error: it failed\n")
        queue.end(run.name, "it failed" if run.name in failing else "")
        if not queue.reasons[run.name]:
            write_file(run.table, "{}")
    return found


def test_resumed_search_proposes_the_same_values(setup: SweepSetup, tmp_path: Path) -> None:
    whole = rates(setup, until=11)
    parts = replace(setup, folder=tmp_path / "parts")
    parts.folder.mkdir()
    assert rates(parts, until=4) + rates(parts, until=11) == whole
    assert len(set(whole)) == 11
    assert min(whole[10:]) > 1e-4


@pytest.mark.parametrize("best", ["mae", "mae/second"])
def test_objective_is_the_metric_that_selects_the_best(
    best: str, pictures: Path, registry: Registry, tmp_path: Path
) -> None:
    """Of several scales and sets, the metrics of the test images have other names."""
    one = {"dataset": {"type": "image_folder", "root": str(pictures)}}
    data = {"test": {"first": one, "second": one}, "validation": {"first": one, "second": one}}
    more: Tree = {"data": data, "metrics": {"mae": {}}, "best": best, "scale": [2, 4]}
    network = {"generator": {"type": "mdsr", "blocks": 1, "features": 8}}
    space = {"training.optimiser.lr": {"low": 1e-4, "high": 1e-2}}
    tree = {**searched(pictures, space, **more), **network}
    base = parse_recipe(tree, "mine.yaml")
    queue = TrialQueue(SweepSetup(base, tree, registry, tmp_path, "mine.yaml", {}))
    assert (queue.objective.name, queue.objective.higher_is_better) == ("mae", False)
    (run,) = queue._prepare({0: {"training.optimiser.lr": 1e-3}})
    assert [metric.name for metric in run.metrics] == [
        f"{metric}/{name} x{scale}"
        for scale in (2, 4)
        for name in ("first", "second")
        for metric in ("psnr", "mae")
    ]


def test_failed_trial_is_not_repeated(setup: SweepSetup) -> None:
    rates(setup, until=2, failing=["trial-001"])
    again = opened(setup)
    assert again.reasons == {"trial-000": "", "trial-001": "it failed"}
    assert list(again.pending()) == []


def test_stopped_trial_is_resumed_first(setup: SweepSetup) -> None:
    stopped = next(opened(setup).pending())
    first, second = opened(setup).pending()
    assert (first.name, second.name) == ("trial-000", "trial-001")
    assert _lr(first) == _lr(stopped)


def test_trial_that_was_never_validated_has_failed(
    setup: SweepSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VariantRun, "validated", lambda run: math.nan)
    queue = opened(setup, 1)
    queue.end(next(queue.pending()).name, "")
    assert queue.reasons == {"trial-000": "psnr was never measured on the validation images"}


def test_error_for_values_without_a_valid_recipe(
    setup: SweepSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = opened(setup, 1)

    def refuse(variants: Sequence[Variant], setup: SweepSetup) -> list[VariantRun]:
        raise RecipeError("small.yaml", [f"{variants[0].name}: invalid"])

    monkeypatch.setattr(search, "prepare_runs", refuse)
    with pytest.raises(RecipeError, match="trial-000: invalid"):
        list(queue.pending())
    monkeypatch.setattr(search, "prepare_runs", prepared)
    assert [run.name for run in opened(setup, 1).pending()] == ["trial-001"]


def test_integer_ends_result_in_integers() -> None:
    whole = _distribution(RangeSpec(low=2, high=8, step=2))
    assert isinstance(whole, IntDistribution)
    assert (whole.low, whole.high, whole.step) == (2, 8, 2)
    broken = _distribution(RangeSpec(low=1e-5, high=1, log=True))
    assert isinstance(broken, FloatDistribution)
    assert (broken.low, broken.high, broken.log) == (1e-5, 1, True)
