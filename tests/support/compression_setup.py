"""A small recipe whose test images are compressed."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from training_setup import TEACHER, Tree, make_tree

from srkit.components.registry import Registry
from srkit.recipe.recipe import parse_recipe
from srkit.studies.compression.measure import measure_compression
from srkit.studies.compression.results import Compression

QUALITIES = [20, 50, 90]


def tree_of(pictures: Path, *changes: Tree) -> Tree:
    """Return a recipe that compresses images of a folder."""
    dataset = {
        "type": "image_folder",
        "root": str(pictures),
        "labels": str(pictures.with_suffix(".csv")),
    }
    settings = {
        "data": {"test": {"dataset": dataset}},
        "metrics": {"psnr": {}, "accuracy": {}},
        "teachers": TEACHER,
        "evaluation": {
            "baselines": ["original", "bilinear"],
            "batch_size": 2,
            "compression": {"formats": ["jpeg", "webp"], "qualities": QUALITIES},
        },
    }
    return make_tree(pictures, settings, *changes)


def measured(
    tree: Tree,
    folder: Path,
    registry: Registry,
    text: io.StringIO | None = None,
    out: Path | None = None,
) -> Compression:
    """Measure a recipe with the run in a folder."""
    console = Console(file=text or io.StringIO(), width=120)
    recipe = parse_recipe(tree, "test.yaml")
    [(found, _)] = measure_compression(
        recipe, registry, folder, source="test.yaml", console=console, out=out
    )
    return found
