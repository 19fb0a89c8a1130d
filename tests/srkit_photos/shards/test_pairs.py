"""Shards of pictures with LR."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from command_line import Srkit
from srkit_photos.datasets.folders import image_folder
from srkit_photos.shards.dataset import ShardPhotos

from srkit.data.crops import Draws
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Extent
from srkit.testing import check_dataset

SCALE = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven PNG files, odd and even, in two classes; LR are BMP files, rounded up."""
    for number in range(7):
        height, width = 20 + number, 31 - number
        y, x = np.mgrid[:height, :width]
        values = np.stack([y, x, np.full_like(x, number)], -1).astype(np.uint8)
        for name, step, ending in (("HR", 1, ".png"), ("LR", SCALE, "x2.bmp")):
            path = tmp_path / name / f"{'ab'[number % 2]}/{number}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(values[::step, ::step] // np.uint8([step, step, 1])).save(path)
    return tmp_path


@pytest.fixture
def shards(folder: Path, srkit: Srkit) -> Path:
    options = ["--lr", folder / "LR", "--lr-suffix", "x2", "--per-shard", "3", "--workers", "0"]
    done = srkit("data", "shard", folder / "HR", "-o", folder / "shards", *options)
    assert done.status == 0, done.err
    return folder / "shards"


def test_pairs_equal_those_of_the_folders(folder: Path, shards: Path, formats: Formats) -> None:
    files = image_folder(formats=formats, root=folder / "HR", lr=folder / "LR", scale=SCALE)
    expected = {files[i].name: files[i] for i in range(len(files))}
    data = ShardPhotos(formats=formats, root=str(shards), scale=SCALE)
    check_dataset(data)
    again = pickle.loads(pickle.dumps(data))
    for index in range(7):
        for sample in (data[index], again[index]):
            known = expected[sample.name]
            assert sample.lr is not None
            assert known.lr is not None
            assert torch.equal(sample.hr, known.hr)
            assert torch.equal(sample.lr, known.lr)
        assert sample.label == "ab".index(sample.name[0])
    sizes = data.sizes()
    assert sizes.lr is not None
    for index in range(7):
        height, width = (int(side) for side in sizes.hr[index])
        rows, columns = (int(side) for side in sizes.lr[index])
        extent = Extent(data.name(index), (height, width), (rows, columns))
        assert data.extent(index) == extent
        assert (height, width) == (SCALE * rows, SCALE * columns)


def test_crops_are_aligned(shards: Path, formats: Formats) -> None:
    data = ShardPhotos(formats=formats, root=str(shards), scale=SCALE)
    for index in range(7):
        sample = Draws(data, 3, 8, (), SCALE).draw(1, index).sample
        assert sample.lr is not None
        levels, small = (image.mul(255).round() for image in (sample.hr[:2], sample.lr[:2]))
        assert small.shape == (2, 4, 4)
        assert torch.equal(levels[:, ::SCALE, ::SCALE].div(SCALE).floor(), small)


def test_other_readers_find_pairs_by_their_names(shards: Path) -> None:
    with tarfile.open(shards / "shard-000000.tar") as archive:
        names = [member.name for member in archive]
    keys = {name.partition(".")[0] for name in names}
    assert sorted(names) == sorted(
        f"{key}{ending}" for key in keys for ending in (".png", ".lr.bmp", ".cls")
    )


def test_lr_is_optional(shards: Path, formats: Formats) -> None:
    plain = ShardPhotos(formats=formats, root=str(shards), scale=SCALE, lr="none", size=16)
    check_dataset(plain)
    assert plain[0].lr is None
    with pytest.raises(ValueError, match="size resizes HR, but not the LR of these shards"):
        ShardPhotos(formats=formats, root=str(shards), scale=SCALE, size=16)


def test_damage_to_lr_is_noticed(shards: Path, formats: Formats) -> None:
    data = ShardPhotos(formats=formats, root=str(shards), scale=SCALE)
    shard = shards / "shard-000000.tar"
    content = bytearray(shard.read_bytes())
    content[int(np.load(shards / "samples.npy")["lr_content"][0]) + 60] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match="the checksum of LR of sample 0 is wrong"):
        data[0]
    assert data[1].lr is not None


def test_lr_without_hr_is_noted(folder: Path, srkit: Srkit) -> None:
    PIL.Image.new("RGB", (4, 4)).save(folder / "LR" / "extrax2.bmp")
    options = ["--lr", folder / "LR", "--lr-suffix", "x2", "--workers", "0"]
    done = srkit("data", "shard", folder / "HR", "-o", folder / "out", *options)
    assert done.status == 0
    note = f"{folder}/LR: 1 pictures, such as extrax2, have no HR in {folder}/HR\n"
    assert done.out.startswith(note)


def test_the_options_have_to_fit(folder: Path, srkit: Srkit) -> None:
    given = ["data", "shard", folder / "HR", "-o", folder / "out", "--lr", folder / "LR"]
    done = srkit(*given, "--short-side", "8")
    assert (done.status, done.err) == (
        1,
        "error: --short-side would shrink HR but not LR; remove it, or --lr\n",
    )
    done = srkit(*given)
    assert done.status == 1
    assert done.err.startswith(f"error: {folder}/LR/a/0.png is missing: the LR of {folder}/HR/a/0")
