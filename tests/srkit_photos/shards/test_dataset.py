"""The data set of shards."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from shards_setup import make_photos, make_shards
from srkit_photos.datasets.folders import image_folder
from srkit_photos.shards.dataset import ShardPhotos
from training_setup import assert_same_end, make_tree, run, steps

from srkit.components.registry import Registry
from srkit.data.batches import training_batches
from srkit.data.crops import Draws
from srkit.data.order import Share, order
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Window


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


def test_notes_name_some_of_the_pictures_that_were_left_out(
    tmp_path: Path, formats: Formats
) -> None:
    photos = make_photos(tmp_path / "photos", count=1, classes=1)
    for number in range(12):
        (photos / "a" / f"cut{number}.jpg").write_bytes(b"no picture")
    make_shards(photos, tmp_path / "shards", formats)
    notes = ShardPhotos(formats=formats, root=str(tmp_path / "shards")).notes
    assert len(notes) == 11
    assert notes[-1] == f"{tmp_path}/shards: left out: 2 more; see index.json"


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


def test_sizes_are_known_from_the_index(
    shards: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ShardPhotos(formats=formats, root=str(shards), start=2)
    expected = [list(data[index].hr.shape[1:]) for index in range(len(data))]
    squares = ShardPhotos(formats=formats, root=str(shards), size=16)
    monkeypatch.setattr("srkit_photos.shards.reader.ShardReader._bytes", None)  # reads nothing
    assert data.sizes().hr.tolist() == expected
    assert squares.sizes().hr.tolist() == [[16, 16]] * 23


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


def test_a_label_without_a_class_is_refused(shards: Path, tmp_path: Path, formats: Formats) -> None:
    folder = Path(shutil.copytree(shards, tmp_path / "shards"))
    rows = np.load(folder / "samples.npy")
    rows["label"] = 7
    np.save(folder / "samples.npy", rows)
    with pytest.raises(DataError, match=r"samples\.npy: sample 3 has label 7, but there are 3 cl"):
        ShardPhotos(formats=formats, root=str(folder), start=3)[0]
