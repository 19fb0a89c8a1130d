"""The cache of decoded pictures, and crops read from it."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from div2k_setup import write_picture
from srkit_photos.datasets import array_cache
from srkit_photos.datasets.array_cache import ArrayCache
from srkit_photos.datasets.pairs import CachedPairs, Pair, PicturePairs
from srkit_pixels.augmentations import Flip, Rotate

from srkit.data.crops import Draws
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import WindowedDataset
from srkit.testing import check_dataset


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Colour pictures of odd sizes, a grey picture and a 16-bit picture."""
    paths = [
        write_picture(tmp_path / "in/a.png", 31, 45),
        write_picture(tmp_path / "in/b.jpg", 30, 44),
    ]
    paths.append(write_picture(tmp_path / "in/grey.png", 33, 40, "L"))
    deep = np.random.default_rng(0).integers(0, 2**16, (30, 34, 3), np.uint16)
    tifffile.imwrite(tmp_path / "in/deep.tiff", deep)
    return [*paths, tmp_path / "in/deep.tiff"]


def both(
    tmp_path: Path, formats: Formats, pairs: list[Pair], scale: int = 1
) -> tuple[PicturePairs, CachedPairs]:
    cached = CachedPairs(formats=formats, pairs=pairs, scale=scale, cache=tmp_path / "cache")
    return PicturePairs(formats=formats, pairs=pairs, scale=scale), cached


def test_samples_equal_those_of_the_files(
    tmp_path: Path, formats: Formats, pictures: list[Path]
) -> None:
    plain, cached = both(tmp_path, formats, [Pair(path.name, path) for path in pictures])
    assert isinstance(cached, WindowedDataset)
    assert not isinstance(plain, WindowedDataset)
    check_dataset(cached)
    for index in range(4):
        assert torch.equal(cached[index].hr, plain[index].hr)


@pytest.mark.parametrize("scale", [1, 3])
def test_training_crops_are_the_same_with_and_without_a_cache(
    tmp_path: Path, formats: Formats, pictures: list[Path], scale: int
) -> None:
    lr = [
        write_picture(tmp_path / f"lr/{n}.png", *size)
        for n, size in enumerate([(10, 15), (10, 14)])
    ]
    pairs = [Pair("a", pictures[0], lr[0]), Pair("b", pictures[1], lr[1])]
    if scale == 1:
        pairs = [Pair(path.name, path) for path in pictures]
    plain, cached = both(tmp_path, formats, pairs, scale)
    copied = pickle.loads(pickle.dumps(cached))  # as for worker processes
    draws = [Draws(data, 5, 12, (Flip(), Rotate()), scale) for data in (plain, copied)]
    for epoch in range(5):
        for index in range(len(pairs)):
            first, second = (each.draw(epoch, index) for each in draws)
            assert first.seed == second.seed
            assert torch.equal(first.sample.hr, second.sample.hr)
            if scale == 3:
                assert first.sample.lr is not None and second.sample.lr is not None
                assert torch.equal(first.sample.lr, second.sample.lr)


def test_an_array_is_mapped_not_read(
    tmp_path: Path, formats: Formats, pictures: list[Path]
) -> None:
    array = ArrayCache(tmp_path / "cache", pictures, formats).open(pictures[0])
    assert isinstance(array, np.memmap)
    assert (array.shape, array.dtype) == ((31, 45, 3), np.uint8)


def test_only_new_or_changed_pictures_are_decoded(
    tmp_path: Path, formats: Formats, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def write(picture: Path, place: Path, formats: Formats) -> None:
        decoded.append(picture.name)
        original(picture, place, formats)

    original = array_cache._write
    monkeypatch.setattr(array_cache, "_write", write)
    cache = tmp_path / "cache"
    ArrayCache(cache, pictures[:2], formats)
    ArrayCache(cache, pictures, formats)
    assert sorted(decoded) == sorted(path.name for path in pictures)
    decoded.clear()
    write_picture(pictures[0], 50, 60)
    os.utime(pictures[1], (1, 1))
    changed = ArrayCache(cache, pictures, formats)
    assert sorted(decoded) == ["a.png", "b.jpg"]
    assert changed.open(pictures[0]).shape == (50, 60, 3)
    assert len(list(cache.glob("*/*.npy"))) == len(pictures)


def test_an_interrupted_cache_is_completed(
    tmp_path: Path, formats: Formats, pictures: list[Path]
) -> None:
    whole = pictures[3].read_bytes()
    pictures[3].write_bytes(whole[:200])
    with pytest.raises(DataError, match=r"deep\.tiff: cannot be decoded"):
        ArrayCache(tmp_path / "cache", pictures, formats)
    done = set((tmp_path / "cache").glob("*/*.npy"))
    pictures[3].write_bytes(whole)
    ArrayCache(tmp_path / "cache", pictures, formats)
    assert done < set((tmp_path / "cache").glob("*/*.npy"))
    assert not list((tmp_path / "cache").glob("*/*partial*"))


def test_pictures_with_the_same_name_are_kept_apart(tmp_path: Path, formats: Formats) -> None:
    paths = [
        write_picture(tmp_path / place / "HR/a.png", 20, 20 + n) for n, place in enumerate("xy")
    ]
    cache = ArrayCache(tmp_path / "cache", paths, formats)
    assert [cache.open(path).shape for path in paths] == [(20, 20, 3), (20, 21, 3)]


def test_errors(tmp_path: Path, formats: Formats, pictures: list[Path]) -> None:
    def fails(folder: Path, path: Path, message: str) -> None:
        with pytest.raises(DataError, match=f"^{re.escape(str(message))}"):
            ArrayCache(folder, [path], formats).open(path)

    cache, absent = tmp_path / "cache", tmp_path / "in/absent.png"
    fails(cache, absent, f"{absent}: cannot be read (No such file or directory)")
    floats = tmp_path / "in/float.tiff"
    tifffile.imwrite(floats, np.zeros((20, 20), np.float32))
    message = f"{floats}: the cache supports pictures of 8 or 16 bits, not 32; remove `cache`"
    fails(cache, floats, message)
    message = f"{pictures[0]}/cache: cannot write the cache ("
    fails(pictures[0] / "cache", pictures[1], message)
    ArrayCache(cache, pictures[:1], formats)
    (array,) = cache.glob("*/a.png.*.npy")
    array.write_bytes(array.read_bytes()[:500])
    fails(cache, pictures[0], f"{array}: not the array of {pictures[0]} (")
