"""Every recipe in `recipes/` trains two steps on its sample and is evaluated."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.evaluation.run import evaluate
from srkit.recipe.needs import resolve
from srkit.recipe.recipe import Recipe, load_recipe
from srkit.recipe.trees import below
from srkit.training.loop import train

RECIPES = sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*.yaml"))
#: Recipes whose figures are drawn: photographs and classes, frames, several scales, labels alone.
DRAWN = {"darionet", "galaxies", "mdsr", "tiny_imagenet_teacher"}
BRIEF = [
    "training.duration=2",
    "training.batch_size=1",
    "training.workers=0",
    "training.schedule={type: constant}",
    "data.train.crop=32 LR",
    "evaluation.examples=1",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs, where recipes find what they need."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def few_figures(path: Path, request: pytest.FixtureRequest) -> None:
    """Draw the figures of a few recipes only."""
    if path.stem not in DRAWN:
        request.getfixturevalue("undrawn_figures")


def load_briefly(path: Path) -> Recipe:
    """Load a recipe's sample with few steps, and few or small images to measure."""
    recipe = load_recipe(path, BRIEF, sample=True)
    small = []
    for place, source in recipe.data.sources().items():
        options, key = source.dataset.options, f"data.{place}.dataset"
        if place == "train":
            continue
        if source.dataset.type == "sample_photos":
            small.append(f"{key}.size=96")
        if "enlarge_to" in options:
            small += [f"{key}.size=16", f"{key}.enlarge_to=64"]
        if "length" in options:
            small.append(f"{key}.length={4 * options.get('folds', 1)}")
    return load_recipe(path, BRIEF + small, sample=True)


def train_briefly(path: Path, registry: Registry, runs: Path) -> Recipe:
    """Train a recipe's sample and what it needs, unless they are trained already."""
    recipe = load_briefly(path)
    for need in recipe.needs.values():
        train_briefly(Path(need), registry, runs)
    folders = {name: runs / load_recipe(need).name for name, need in recipe.needs.items()}
    recipe = resolve(recipe, folders, str(path))
    if not (runs / recipe.name).is_dir():
        console = Console(file=io.StringIO(), width=120)
        assembly = assemble(recipe, registry, str(path), splits=SPLITS)
        train(assembly, runs / recipe.name, source=str(path), console=console)
    return recipe


@pytest.mark.slow
@pytest.mark.usefixtures("few_figures")
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_runs_on_its_sample(path: Path, registry: Registry, runs: Path) -> None:
    recipe = train_briefly(path, registry, runs)
    run = runs / recipe.name
    assert (run / "figures" / "curves_loss.png").is_file()
    if recipe.data.test is None:
        return
    console = Console(file=io.StringIO(), width=120)
    evaluations = evaluate(recipe, registry, run, source=str(path), console=console)
    sets = len(below(recipe.data.sources(), "test"))
    assert len(evaluations) == len(recipe.scales) * sets
    for scale, evaluation in zip(recipe.scales, evaluations[::sets], strict=True):
        assert evaluation.models[-1].name == (recipe.name if recipe.generator else "original")
        folder = run / "evaluation" / (f"x{scale}" if len(recipe.scales) > 1 else "")
        assert (folder / "report.html").is_file()
