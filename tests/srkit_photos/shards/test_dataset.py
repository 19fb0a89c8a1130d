"""The data set of shards, local and on a server."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
import torch
from shards_setup import make_photos, make_shards
from srkit_photos.datasets.folders import image_folder
from srkit_photos.shards.dataset import ShardPhotos
from srkit_photos.shards.format import parse_index, read_rows
from training_setup import assert_same_end, make_tree, run, steps
from web_server import Web, serving

from srkit.components.registry import Registry
from srkit.data.batches import training_batches
from srkit.data.crops import Draws
from srkit.data.order import Share, order
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Window


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("tree") / "photos", count=23)


@pytest.fixture(scope="module")
def shards(photos: Path, tmp_path_factory: pytest.TempPathFactory, formats: Formats) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    make_shards(photos, folder / "shards", formats, per_shard=3)
    return folder / "shards"


def served(folder: Path) -> Web:
    return Web({f"/s/{path.name}": path.read_bytes() for path in folder.iterdir()})


def test_samples_equal_those_of_the_files(photos: Path, shards: Path, formats: Formats) -> None:
    files = image_folder(formats=formats, root=photos, size=16)
    expected = {sample.name: sample for sample in (files[i] for i in range(len(files)))}
    data = ShardPhotos(formats=formats, root=str(shards), size=16)
    assert data.classes == ["a", "b", "c"]
    assert len(data) == len(expected) == 23
    for index in range(len(data)):
        sample = data[index]
        assert torch.equal(sample.hr, expected.pop(sample.name).hr)
        assert sample.label == ord(sample.name[0]) - ord("a")


def test_pictures_below_the_size_are_refused_at_once(shards: Path, formats: Formats) -> None:
    """There are 23 pictures of 24 + n by 40 - n pixels, so short sides from 18 to 32."""
    short = [min(24 + n, 40 - n) for n in range(23)]
    with pytest.raises(DataError) as caught:
        ShardPhotos(formats=formats, root=str(shards), size=25)
    few = sum(side < 25 for side in short)
    assert str(caught.value).startswith(
        f"{shards}: {few} of 23 pictures have a short side below size 25, such as "
    )
    assert str(caught.value).endswith("; lower the size or set enlarge: true")
    assert len(ShardPhotos(formats=formats, root=str(shards), size=25, enlarge=True)) == 23
    assert len(ShardPhotos(formats=formats, root=str(shards), size=min(short))) == 23


def test_a_window_is_cut_from_the_whole(shards: Path, formats: Formats) -> None:
    data = ShardPhotos(formats=formats, root=str(shards))
    window = Window((slice(3, 11), slice(5, 9)))
    for index in range(3):
        whole = data[index]
        assert data.extent(index).hr == tuple(whole.hr.shape[1:])
        assert torch.equal(data.window(index, window).hr, whole.hr[:, 3:11, 5:9])


def test_start_and_stop(shards: Path, formats: Formats) -> None:
    whole = ShardPhotos(formats=formats, root=str(shards))
    part = ShardPhotos(formats=formats, root=str(shards), start=4, stop=-2)
    assert [part[i].name for i in range(len(part))] == [whole[i].name for i in range(4, 21)]
    assert part.groups == [2, 3, 3, 3, 3, 3]
    with pytest.raises(ValueError, match="start 40 and stop None select none of 23 samples"):
        ShardPhotos(formats=formats, root=str(shards), start=40)


def test_shards_are_shuffled_and_samples_within_some(shards: Path, formats: Formats) -> None:
    data = ShardPhotos(formats=formats, root=str(shards))
    data.together = 2
    whole = list(islice(order(23, 7, 0, data), 3 * 23))
    for epoch in range(3):
        found = [index for number, index in whole if number == epoch]
        assert sorted(found) == list(range(23))
        assert len({index // 3 for index in found[:5]}) == 2  # one of the shards has only 2 samples
    assert whole[:23] != [(0, index) for _, index in whole[23:46]]
    for first in range(50):
        assert list(islice(order(23, 7, first, data), 15)) == whole[first : first + 15]


def test_processes_and_workers_share_an_epoch(shards: Path, formats: Formats) -> None:
    draws = {2: Draws(ShardPhotos(formats=formats, root=str(shards), size=16), 0, None, (), 2)}

    def names(rank: int, processes: int, workers: int) -> list[list[str]]:
        share = Share(4, rank, processes)
        return [list(b.names) for b in training_batches(draws, share, 0, 5, workers)]

    alone = names(0, 1, 0)
    assert names(0, 1, 2) == alone
    first, second = names(0, 2, 1), names(1, 2, 1)
    assert [one + two for one, two in zip(first, second, strict=True)] == alone
    assert len({name for step in alone for name in step}) == 20


@pytest.mark.usefixtures("undrawn_figures")
def test_a_run_resumes_within_an_epoch(shards: Path, tmp_path: Path, registry: Registry) -> None:
    dataset = {"type": "webdataset", "root": str(shards)}
    tree = make_tree(tmp_path, {"data": {"train": {"dataset": dataset}}})
    tree["data"]["train"]["dataset"] = dataset  # in place of the folder's options
    run(
        {**tree, "training": {**tree["training"], **steps(7)["training"]}}, tmp_path / "a", registry
    )
    run(
        {**tree, "training": {**tree["training"], **steps(3)["training"]}}, tmp_path / "b", registry
    )
    longer = {**tree, "training": {**tree["training"], **steps(7)["training"]}}
    run(longer, tmp_path / "b", registry, resume=True)
    assert_same_end(tmp_path / "a", tmp_path / "b")


def test_imagenet_classes_by_wnid(photos: Path, tmp_path: Path, formats: Formats) -> None:
    tree = tmp_path / "tree"
    for name, wnid in (("a", "n01443537"), ("b", "n01440764")):
        shutil.copytree(photos / name, tree / wnid)
    make_shards(tree, tmp_path / "shards", formats)
    data = ShardPhotos(formats=formats, root=str(tmp_path / "shards"), classes="imagenet")
    assert data.classes is not None and data.classes[0] == "tench" and len(data.classes) == 1000
    for sample in (data[i] for i in range(len(data))):
        assert sample.label == {"n01443537": 1, "n01440764": 0}[sample.name.partition("/")[0]]


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
