"""Shards can be read by WebDataset's own reader, and do not depend on how they are written."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torchvision.transforms.v2.functional as transforms
from command_line import Srkit
from PIL import Image as Pillow
from shards_setup import make_photos, make_shards
from srkit_photos.shards.collection import collect
from srkit_photos.shards.format import ROW, ShardWriter, name_of, parse_index, read_rows
from torchvision.transforms import InterpolationMode
from webdataset.tariterators import group_by_keys, tar_file_expander

from srkit.errors import DataError
from srkit.images.formats import Formats


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "photos")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_webdataset_reads_every_file_and_label(
    photos: Path, tmp_path: Path, formats: Formats
) -> None:
    index = make_shards(photos, tmp_path / "shards", formats)
    samples = []
    for shard in index.shards:
        with (tmp_path / "shards" / shard.name).open("rb") as file:
            opened = [{"url": shard.name, "stream": file}]
            samples += list(group_by_keys(tar_file_expander(opened)))
    assert len(samples) == 12
    for sample in samples:
        assert sample["jpg"] == (photos / f"{sample['__key__']}.jpg").read_bytes()
        assert index.classes[int(sample["cls"])] == sample["__key__"][0]
    assert [shard.samples for shard in index.shards] == [5, 5, 2]


def test_the_index_locates_each_picture(photos: Path, tmp_path: Path, formats: Formats) -> None:
    index = make_shards(photos, tmp_path / "shards", formats)
    rows = read_rows(tmp_path / "shards/samples.npy", index)
    expected = []
    for shard in index.shards:
        with tarfile.open(tmp_path / "shards" / shard.name) as archive:
            for member in archive:
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
                if member.name.endswith(".jpg"):
                    expected.append((member.offset, member.offset_data, member.size))
                    row = rows[len(expected) - 1]
                    with Pillow.open(photos / member.name) as picture:
                        assert (row["width"], row["height"]) == picture.size
    found = [tuple(int(row[key]) for key in ("header", "content", "bytes")) for row in rows]
    assert found == expected


def test_the_same_pictures_give_the_same_bytes(
    photos: Path, tmp_path: Path, formats: Formats
) -> None:
    make_shards(photos, tmp_path / "one", formats)
    make_shards(photos, tmp_path / "two", formats, workers=2)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    make_shards(photos, tmp_path / "three", formats, seed=1)
    assert files_of(tmp_path / "one").keys() == files_of(tmp_path / "three").keys()
    assert files_of(tmp_path / "one") != files_of(tmp_path / "three")


def test_a_stopped_run_keeps_its_finished_shards(
    photos: Path, tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_shards(photos, tmp_path / "whole", formats)
    written: list[int] = []

    def stop(self: ShardWriter, *arguments: object) -> None:
        written.append(1)
        if len(written) == 8:
            raise KeyboardInterrupt
        add(self, *arguments)

    add = ShardWriter.add
    folder = tmp_path / "stopped"
    monkeypatch.setattr(ShardWriter, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        make_shards(photos, folder, formats)
    assert sorted(path.name for path in folder.iterdir()) == [".parts", "shard-000000.tar"]
    first = (folder / "shard-000000.tar").stat().st_mtime_ns
    make_shards(photos, folder, formats)
    assert len(written) == 8 + 7  # those of the first shard were not read again
    assert (folder / "shard-000000.tar").stat().st_mtime_ns == first
    assert files_of(folder) == files_of(tmp_path / "whole")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_stops_it_between_two_pictures(
    photos: Path, tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    written: list[int] = []

    def send(self: ShardWriter, *arguments: object) -> None:
        written.append(1)
        if len(written) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        add(self, *arguments)

    add = ShardWriter.add
    monkeypatch.setattr(ShardWriter, "add", send)
    with pytest.raises(KeyboardInterrupt):
        make_shards(photos, tmp_path / "stopped", formats, workers=workers)
    assert len(written) == 6
    make_shards(photos, tmp_path / "stopped", formats, workers=workers)
    make_shards(photos, tmp_path / "whole", formats)
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


def test_a_finished_folder_without_a_shard_is_refused(
    photos: Path, tmp_path: Path, formats: Formats
) -> None:
    folder = tmp_path / "shards"
    make_shards(photos, folder, formats)
    (folder / "shard-000001.tar").unlink()
    with pytest.raises(DataError, match=r"shard-000001\.tar: no such shard; copy it again"):
        make_shards(photos, folder, formats)


def test_pictures_of_other_sizes(photos: Path, tmp_path: Path, formats: Formats) -> None:
    changed = shutil.copytree(photos, tmp_path / "changed")
    make_shards(changed, tmp_path / "shards", formats)
    first = sorted(changed.rglob("*.jpg"))[0]
    first.write_bytes(first.read_bytes() + b"more")
    with pytest.raises(
        DataError, match="made from pictures of other names, labels or sizes; choose"
    ):
        make_shards(changed, tmp_path / "shards", formats)


def test_resized_pictures_agree_with_torchvision(tmp_path: Path, formats: Formats) -> None:
    photos = make_photos(tmp_path / "photos", count=4)
    index = make_shards(photos, tmp_path / "shards", formats, short_side=16, quality=100)
    rows = read_rows(tmp_path / "shards/samples.npy", index)
    assert [min(row["height"], row["width"]) for row in rows] == [16] * 4
    with tarfile.open(tmp_path / "shards/shard-000000.tar") as archive:
        for member in archive:
            if not member.name.endswith(".jpg"):
                continue
            found = Pillow.open(io.BytesIO(archive.extractfile(member).read()))
            with Pillow.open(photos / member.name) as whole:
                size = [16 * side // min(whole.size) for side in reversed(whole.size)]
                shrunk = transforms.resize(whole, size, InterpolationMode.BICUBIC)
            difference = np.abs(np.asarray(found, int) - np.asarray(shrunk, int))
            assert difference.max() <= 4  # from the encoding at quality 100 and rounding


def test_smaller_pictures_are_kept(photos: Path, tmp_path: Path, formats: Formats) -> None:
    make_shards(photos, tmp_path / "kept", formats)
    make_shards(photos, tmp_path / "larger", formats, short_side=99)
    assert (tmp_path / "kept/shard-000001.tar").read_bytes() == (
        tmp_path / "larger/shard-000001.tar"
    ).read_bytes()


def test_a_list_with_labels(photos: Path, tmp_path: Path, formats: Formats) -> None:
    (photos / "list.csv").write_text("path,class_index\na/00.jpg,7\nb/01.jpg,0\n")
    index = make_shards(photos / "list.csv", tmp_path / "shards", formats)
    labels = read_rows(tmp_path / "shards/samples.npy", index)["label"]
    assert sorted(labels.tolist()) == [0, 7]
    assert index.classes == [str(i) for i in range(8)]


def test_pictures_without_folders_have_no_labels(tmp_path: Path, formats: Formats) -> None:
    photos = make_photos(tmp_path / "photos", count=3)
    index = make_shards(photos / "a", tmp_path / "shards", formats)
    assert index.classes is None
    assert read_rows(tmp_path / "shards/samples.npy", index)["label"].tolist() == [-1]


def test_corrupt_pictures_are_reported(photos: Path, srkit: Srkit) -> None:
    bad = photos / "b/04.jpg"
    bad.write_bytes(bad.read_bytes()[:400])
    done = srkit("data", "shard", photos, "-o", "shards", "--workers", "0")
    assert done.status == 1
    assert "shards: 11 pictures in 1 shard of " in done.out
    assert f"left out: {bad}: cannot be decoded" in done.out
    assert done.err == "error: shards: 1 of 12 pictures could not be used\n"
    again = srkit("data", "shard", photos, "-o", "shards", "--workers", "0")
    assert (again.status, again.out) == (1, done.out)


def test_a_shard_of_corrupt_pictures_only_is_not_written(
    photos: Path, tmp_path: Path, formats: Formats
) -> None:
    order = np.random.default_rng(0).permutation(12)
    names = sorted(path for path in photos.rglob("*.jpg"))
    for position in order[:5]:
        names[position].write_bytes(b"\xff\xd8\xff")
    index = make_shards(photos, tmp_path / "shards", formats)
    assert [shard.name for shard in index.shards] == ["shard-000001.tar", "shard-000002.tar"]
    rows = read_rows(tmp_path / "shards/samples.npy", index)
    assert rows["shard"].tolist() == [0] * 5 + [1] * 2


def test_other_pictures_are_refused(photos: Path, tmp_path: Path, formats: Formats) -> None:
    make_shards(photos, tmp_path / "shards", formats)
    message = r"index\.json: made with seed 0, not 3; choose another --out, or remove"
    with pytest.raises(DataError, match=message):
        make_shards(photos, tmp_path / "shards", formats, seed=3)
    (photos / "a/00.jpg").unlink()
    with pytest.raises(DataError, match="made with pictures 12, not 11"):
        make_shards(photos, tmp_path / "shards", formats)


def test_a_folder_of_other_things_is_refused(
    photos: Path, tmp_path: Path, formats: Formats
) -> None:
    with pytest.raises(DataError) as caught:
        make_shards(photos, photos, formats)
    assert str(caught.value) == (
        f"{photos}: contains files that srkit data shard did not write; choose another --out"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name\nx.jpg\n",
            ": has the columns name; expected path and, for labels, class_index",
        ),
        ("path,class_index\nx.jpg,a\n", ", line 2: got class_index 'a'; expected 0, 1, 2, ..."),
        ("path\n", ": lists no pictures"),
        (
            "path\nx.jpg\nx.png\n",
            ": x.jpg and x.png would be one sample, x; rename one so that they differ in more than "
            "the extension",
        ),
    ],
)
def test_wrong_lists(text: str, message: str, tmp_path: Path, formats: Formats) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        collect(path, formats)
    assert str(caught.value) == f"{path}{message}"


def test_dots_in_names(tmp_path: Path, formats: Formats) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path\n../a.b.c.JPG\n")
    assert [picture.name for picture in collect(path, formats).pictures] == ["a_b_c.jpg"]


def test_rows_of_another_index_are_refused(photos: Path, tmp_path: Path, formats: Formats) -> None:
    index = make_shards(photos, tmp_path / "shards", formats)
    np.save(tmp_path / "shards/samples.npy", np.zeros(3, ROW))
    with pytest.raises(DataError, match=r"samples\.npy: has 3 rows, but the index has 12 samples"):
        read_rows(tmp_path / "shards/samples.npy", index)
    index_of = json.loads((tmp_path / "shards/index.json").read_text())
    assert index_of["samples"] == 12


def test_an_index_of_another_version_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        parse_index(b'{"format": 2}', "x/index.json")
    assert str(caught.value) == (
        "x/index.json: has version 2, but this srkit reads version 1; make the shards again with "
        "srkit data shard, or install the srkit that made them"
    )
    for text in (b"[]", b"{", b'{"format": 1}'):
        with pytest.raises(DataError, match=r"x/index\.json: is not an index of shards \(.*\)"):
            parse_index(text, "x/index.json")


def test_long_names_are_read(tmp_path: Path) -> None:
    name = f"{'long' * 40}/{'name' * 30}.jpg"
    with (tmp_path / "shard.tar").open("wb") as file:
        writer = ShardWriter(file, 0)
        writer.add(name, b"content", None, (1, 1))
        writer.finish()
    (row,) = writer.rows
    assert name_of((tmp_path / "shard.tar").read_bytes()[row[1] : row[2]]) == name
