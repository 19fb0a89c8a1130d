"""The storage of shards, read through the data set: cache and servers."""

from __future__ import annotations

import pickle
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
import torch
from srkit_photos.shards.dataset import ShardPhotos
from web_server import Web, serving

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.system.cache import cached_files


def served(folder: Path) -> Web:
    return Web({f"/s/{path.name}": path.read_bytes() for path in folder.iterdir()})


def test_shards_of_a_server(shards: Path, tmp_path: Path, formats: Formats) -> None:
    here = ShardPhotos(formats=formats, root=str(shards))
    with serving(served(shards)) as web:
        there = ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path)
        for index in range(len(here)):
            assert torch.equal(there[index].hr, here[index].hr)
        assert len(web.asked) == 2 + 8  # the index, its rows, and each shard once
        copy = pickle.loads(pickle.dumps(there))
        assert copy[5].name == here[5].name
    assert len(list(tmp_path.rglob("*.tar"))) == 8


@pytest.mark.parametrize("protocol", ["http", "memory"])
def test_cached_shards_belong_to_srkit(
    protocol: str,
    shards: Path,
    tmp_path: Path,
    formats: Formats,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("memory").put(f"{shards}/", "/cached/s", recursive=True)
    with serving(served(shards)) as web:
        root = "memory://cached/s" if protocol == "memory" else f"{web.address}/s"
        assert ShardPhotos(formats=formats, root=root)[0].hr.shape[0] == 3
    files = cached_files()
    assert {each.path.suffix for each in files} >= {".json", ".tar"}
    assert [each.path.name for each in files if not each.own] == []


def test_shards_are_fetched_ahead(shards: Path, tmp_path: Path, formats: Formats) -> None:
    with serving(served(shards)) as web:
        data = ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path)
        data.expect([1, 2])
        wanted = {"shard-000001.tar", "shard-000002.tar"}
        for _ in range(1000):
            if {path.name for path in tmp_path.rglob("*.tar")} == wanted:
                break
            time.sleep(0.01)
        assert {path.name for path in tmp_path.rglob("*.tar")} == wanted


def test_the_size_of_the_cache_is_limited(shards: Path, tmp_path: Path, formats: Formats) -> None:
    largest = max(path.stat().st_size for path in shards.glob("*.tar"))
    with serving(served(shards)) as web:
        data = ShardPhotos(
            formats=formats, root=f"{web.address}/s", cache=tmp_path, cache_gb=2.5 * largest / 1e9
        )
        for index in range(len(data)):
            assert data[index].hr.shape[0] == 3
        assert {path.name for path in tmp_path.rglob("*.tar")} == {
            "shard-000006.tar",
            "shard-000007.tar",
        }
        with pytest.raises(DataError, match=r"exceeds the size of the cache, 1e-06 GB; raise"):
            ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path, cache_gb=1e-6)


def test_other_protocols_use_fsspec(shards: Path, tmp_path: Path, formats: Formats) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{shards}/", "/bucket/s", recursive=True)
    data = ShardPhotos(formats=formats, root="memory://bucket/s", cache=tmp_path)
    assert torch.equal(data[9].hr, ShardPhotos(formats=formats, root=str(shards))[9].hr)
    memory.pipe_file("/bucket/s/shard-000004.tar", b"other")
    with pytest.raises(DataError, match=r"memory://bucket/s/shard-000004.tar: its sha256 is "):
        data[13]
    with pytest.raises(DataError, match=r"nonsense://x/index\.json: cannot be opened"):
        ShardPhotos(formats=formats, root="nonsense://x")


class Bucket(BaseHTTPRequestHandler):
    """An object store without accounts, as far as s3fs needs it."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_HEAD(self) -> None:
        self.answer(with_content=False)

    def do_GET(self) -> None:
        self.answer(with_content=True)

    def answer(self, *, with_content: bool) -> None:
        content = self.files.get(self.path.partition("?")[0])
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("ETag", '"one"')
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")
        self.end_headers()
        if with_content:
            self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.filterwarnings("ignore")  # of s3fs, aiohttp and botocore
def test_an_object_store(
    shards: Path, tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bucket.files = {f"/bucket/s/{p.name}": p.read_bytes() for p in shards.iterdir() if p.is_file()}
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anyone")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
            data = ShardPhotos(formats=formats, root="s3://bucket/s", cache=tmp_path)
            here = ShardPhotos(formats=formats, root=str(shards))
            assert all(torch.equal(data[i].hr, here[i].hr) for i in range(len(here)))
            with pytest.raises(DataError, match=r"^s3://bucket/other/index\.json: cannot be"):
                ShardPhotos(formats=formats, root="s3://bucket/other", cache=tmp_path)
        finally:
            server.shutdown()
            thread.join()


def test_a_truncated_copy_is_downloaded_again(
    shards: Path, tmp_path: Path, formats: Formats
) -> None:
    with serving(served(shards)) as web:
        data = ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path)
        expected = data[0].hr
        (copy,) = tmp_path.rglob("shard-000000.tar")
        copy.write_bytes(copy.read_bytes()[:1000])
        assert torch.equal(data[0].hr, expected)


def test_a_server_that_does_not_respond(shards: Path, tmp_path: Path, formats: Formats) -> None:
    with serving(served(shards)) as web:
        root = f"{web.address}/s"
        first = ShardPhotos(formats=formats, root=root, cache=tmp_path)
        expected = first[0].hr
        assert first.notes == []
    data = ShardPhotos(formats=formats, root=root, cache=tmp_path)
    assert torch.equal(data[0].hr, expected)
    (note,) = data.notes
    assert note.startswith(f"{root}/index.json: cannot be fetched (")
    assert note.endswith("; using the cached shards")
    with pytest.raises(DataError, match=r"shard-000001\.tar could not be downloaded"):
        data[5]
    with pytest.raises(DataError, match=r"index\.json: cannot be fetched"):
        ShardPhotos(formats=formats, root=root, cache=tmp_path / "other")


def test_an_index_removed_from_the_server(shards: Path, tmp_path: Path, formats: Formats) -> None:
    with serving(served(shards)) as web:
        ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path)
        web.files.clear()
        with pytest.raises(DataError, match=r"index\.json: cannot be fetched \(HTTP Error 404"):
            ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path)


def test_a_shard_that_is_not_served(shards: Path, tmp_path: Path, formats: Formats) -> None:
    web = served(shards)
    del web.files["/s/shard-000002.tar"]
    web.files["/s/shard-000003.tar"] = b"something else"
    with serving(web):
        data = ShardPhotos(formats=formats, root=f"{web.address}/s", cache=tmp_path)
        with pytest.raises(
            DataError, match=r"shard-000002.tar could not be downloaded \(HTTP Error"
        ):
            data[7]
        with pytest.raises(DataError, match=r"shard-000003.tar, just downloaded: its sha256 is "):
            data[10]
        with pytest.raises(DataError) as caught:
            ShardPhotos(formats=formats, root=f"{web.address}/other", cache=tmp_path)
    assert str(caught.value) == (
        f"{web.address}/other/index.json: cannot be fetched (HTTP Error 404: Not Found); check the "
        "address and your permissions"
    )
