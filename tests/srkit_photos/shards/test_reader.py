"""Damaged shards, read through the data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from srkit_photos.shards.dataset import ShardPhotos
from srkit_photos.shards.format import parse_index, read_rows

from srkit.errors import DataError
from srkit.images.formats import Formats


def test_damaged_shards(shards: Path, tmp_path: Path, formats: Formats) -> None:
    folder = tmp_path / "shards"
    shutil.copytree(shards, folder)
    data = ShardPhotos(formats=formats, root=str(folder))
    place, remedy = folder / "shard-000001.tar", "copy it again; a cached copy can be"
    content = bytearray(place.read_bytes())
    rows = read_rows(folder / "samples.npy", parse_index((folder / "index.json").read_bytes(), ""))
    content[rows["content"][3] + 9] ^= 1
    place.write_bytes(content)
    with pytest.raises(DataError, match=f"{place}: the checksum of sample 3 is wrong; {remedy}"):
        data[3]
    place.write_bytes(content[:1000])
    with pytest.raises(DataError, match=f"{place}: ends before sample 3; {remedy}"):
        data[3]
    size = json.loads((folder / "index.json").read_text())["shards"][1]["bytes"]
    with pytest.raises(DataError, match=f"{place}: has 1000 bytes, expected {size}; {remedy}"):
        ShardPhotos(formats=formats, root=str(folder))
    place.unlink()
    with pytest.raises(DataError, match=f"{place}: no such shard; {remedy}"):
        data[3]
    with pytest.raises(DataError, match=f"{place}: no such shard; {remedy}"):
        ShardPhotos(formats=formats, root=str(folder))
    with pytest.raises(
        DataError, match=f"{tmp_path}/index.json: no such file; make the shards with"
    ):
        ShardPhotos(formats=formats, root=str(tmp_path))
