from __future__ import annotations

from pathlib import Path

from sweep_setup import PSNR, SHIFT

from srkit.components.registry import Registry
from srkit.recipe.recipe import Recipe
from srkit.recipe.variants import Variant
from srkit.studies.sweeps.runs import NOT_YET, RunQueue, SweepSetup, VariantRun


def test_metrics_are_those_of_all_runs_in_their_order(registry: Registry, tmp_path: Path) -> None:
    recipe = Recipe.model_construct(name="mine", repeat=None)
    setup = SweepSetup(recipe, {}, registry, tmp_path, "mine.yaml", {})
    runs = [
        VariantRun(Variant(name, name, {}, {}), recipe, metrics, 1, tmp_path)
        for name, metrics in (("a", [PSNR]), ("b", [SHIFT, PSNR]))
    ]
    found = RunQueue(setup, runs).results()
    assert found.metrics == [PSNR, SHIFT]
    assert [outcome.reason for outcome in found.outcomes] == [NOT_YET, NOT_YET]
