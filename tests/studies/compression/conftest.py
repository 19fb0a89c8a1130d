"""A trained network and its results, which the tests of the compression study share."""

from __future__ import annotations

from pathlib import Path

import pytest
from compression_setup import measured, tree_of
from training_setup import make_pictures, make_tree, run, steps

from srkit.components.registry import Registry
from srkit.studies.compression.results import Compression


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=5, side=48)


@pytest.fixture(scope="session")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """Train a network for a step."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    run(make_tree(pictures, steps(1)), folder, registry)
    return folder


@pytest.fixture(scope="session")
def found(pictures: Path, trained: Path, registry: Registry) -> Compression:
    return measured(tree_of(pictures), trained, registry)
