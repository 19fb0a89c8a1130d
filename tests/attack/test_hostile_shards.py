"""Indices of shards that lead out of the cache, and servers that send something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from srkit_photos.shards import storage
from srkit_photos.shards.dataset import ShardPhotos
from srkit_photos.shards.format import ROW, encode_rows
from web_server import Web, serving

from srkit.errors import DataError
from srkit.images.formats import Formats

EVIL = b"owned"


def index_of(rows: bytes, **shard: Any) -> dict[str, Any]:
    entry = {
        "name": "shard-000000.tar",
        "samples": 1,
        "bytes": len(EVIL),
        "sha256": sha256(EVIL).hexdigest(),
    }
    return {
        "format": 1,
        "samples": 1,
        "shards": [{**entry, **shard}],
        "classes": None,
        "rows": sha256(rows).hexdigest(),
        "made": {},
        "bad": [],
    }


def rows_of(**row: int) -> bytes:
    """Return a table of one sample."""
    rows = np.zeros(1, ROW)
    values = {"content": 2, "bytes": 3, "label": -1, "height": 4, "width": 4, **row}
    for name, value in values.items():
        rows[name] = value
    return encode_rows(rows)


def served(index: Mapping[str, Any], rows: bytes, *names: str) -> Web:
    files = {f"/s/{name}": EVIL for name in names}
    index_file = json.dumps(index).encode()
    return Web({**files, "/s/index.json": index_file, "/s/samples.npy": rows})


@pytest.mark.parametrize(
    "name", ["{victim}", "../../victim.txt", "index.json", "samples.npy", ".room.lock", "a/b", ""]
)
def test_a_shard_is_a_file_of_its_own_folder(tmp_path: Path, formats: Formats, name: str) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    name, rows = name.format(victim=victim), rows_of()
    index = index_of(rows, name=name)
    message = r"index\.json: is not an index of shards \(shards\.0\.name: "
    with serving(served(index, rows, name, "victim.txt")) as web:
        with pytest.raises(DataError, match=message):
            ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path / "cache/x")
        assert web.asked == [None]
    assert victim.read_text() == "mine"
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "samples.npy").write_bytes(rows)
    with pytest.raises(DataError, match=message):
        ShardPhotos(formats=formats, root=str(folder))


@pytest.mark.parametrize(
    "change",
    [
        {"shards": []},
        {"shards": {}},
        {"shards": [7]},
        {"rows": 7},
        {"classes": "cats"},
        {"bad": [["one"]]},
        {"made": []},
    ],
)
def test_an_index_of_other_types(tmp_path: Path, formats: Formats, change: dict[str, Any]) -> None:
    rows = rows_of()
    (tmp_path / "index.json").write_text(json.dumps({**index_of(rows), **change}))
    (tmp_path / "samples.npy").write_bytes(rows)
    with pytest.raises(DataError, match=rf"^{tmp_path}/index\.json: is not an index of shards"):
        ShardPhotos(formats=formats, root=str(tmp_path))


@pytest.mark.parametrize("field", ["samples", "bytes"])
def test_sizes_of_shards(tmp_path: Path, formats: Formats, field: str) -> None:
    rows = rows_of()
    index = index_of(rows, **{field: -1})
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=rf"index\.json: .*\(shards\.0\.{field}: "):
        ShardPhotos(formats=formats, root=str(tmp_path))


def test_a_deeply_nested_index(tmp_path: Path, formats: Formats) -> None:
    (tmp_path / "index.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"index\.json: .*nested too deeply"):
        ShardPhotos(formats=formats, root=str(tmp_path))


@pytest.mark.parametrize(
    "row",
    [
        {"shard": 5},
        {"content": 2**63},
        {"header": 2**63},
        {"bytes": 2**32 - 1},
        {"header": 4, "content": 1},
    ],
)
def test_rows_that_lead_out_of_a_shard(
    tmp_path: Path, formats: Formats, row: dict[str, int]
) -> None:
    rows = rows_of(**row)
    (tmp_path / "index.json").write_text(json.dumps(index_of(rows)))
    (tmp_path / "samples.npy").write_bytes(rows)
    (tmp_path / "shard-000000.tar").write_bytes(EVIL)
    with pytest.raises(DataError, match=r"(samples\.npy: row 0 is damaged|header of sample 0)"):
        _ = ShardPhotos(formats=formats, root=str(tmp_path))[0]


def test_an_index_larger_than_memory(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "free_memory", lambda: 32 * 1000)
    rows = rows_of()
    web = served({**index_of(rows), "made": {"x": "y" * 1000}}, rows)
    with serving(web), pytest.raises(DataError, match=r"index\.json: has more than 0 MB"):
        ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path)
