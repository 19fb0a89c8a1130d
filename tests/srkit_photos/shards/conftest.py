"""Photos, and shards of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from shards_setup import make_photos, make_shards

from srkit.images.formats import Formats


@pytest.fixture(scope="package")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("tree") / "photos", count=23)


@pytest.fixture(scope="package")
def shards(photos: Path, tmp_path_factory: pytest.TempPathFactory, formats: Formats) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    make_shards(photos, folder / "shards", formats, per_shard=3)
    return folder / "shards"
