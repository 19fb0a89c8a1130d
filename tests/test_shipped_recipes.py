"""Every recipe in `recipes/` trains and is evaluated on its sample, if only for two steps."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from srkit.comparison import compare
from srkit.recipe import load_recipe
from srkit.registry import Registry
from srkit.training import train

RECIPES = sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*.yaml"))
BRIEF = [
    "training.duration=2",
    "training.batch_size=1",
    "training.workers=0",
    "training.schedule={type: constant}",
    "data.train.crop=64",
]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_runs_on_its_sample(
    path: Path, registry: Registry, tmp_path: Path
) -> None:
    recipe = load_recipe(path, BRIEF, sample=True)
    console = Console(file=io.StringIO(), width=120)
    run = tmp_path / "run"
    checkpoint = train(recipe, registry, run, source=str(path), console=console)
    assert checkpoint.is_file()
    assert (run / "figures" / "curves_loss.png").is_file()
    if recipe.data.test is None:
        return
    evaluation = compare(recipe, registry, run, source=str(path), console=console)
    assert evaluation.models[-1].name == recipe.name
    assert (run / "evaluation" / "report.html").is_file()
