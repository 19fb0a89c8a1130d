"""DIV2K, Flickr2K and DF2K, with small synthetic trees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from div2k_setup import write_div2k, write_picture
from srkit_photos.datasets.div2k import df2k, div2k, flickr2k
from srkit_photos.datasets.pairs import CachedPairs

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.testing import check_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_div2k(tmp_path / "DIV2K", range(1, 4))
    write_div2k(tmp_path / "DIV2K", range(801, 804), "valid")
    return tmp_path / "DIV2K"


def make(formats: Formats, root: Path, **options: Any) -> Any:
    return div2k(formats=formats, root=root, **{"scale": 2, "split": "train", **options})


def test_splits_match_the_paper(formats: Formats, tmp_path: Path) -> None:
    for part, numbers in (("train", range(1, 801)), ("valid", range(801, 901))):
        (tmp_path / f"DIV2K_{part}_HR").mkdir()
        for number in numbers:
            (tmp_path / f"DIV2K_{part}_HR" / f"{number:04d}.png").touch()
    assert len(make(formats, tmp_path)) == 800
    assert len(make(formats, tmp_path, split="validation")) == 100


@pytest.mark.parametrize("kind", ["bicubic", "unknown"])
@pytest.mark.parametrize("cached", [False, True])
def test_official_pairs(formats: Formats, root: Path, kind: str, cached: bool) -> None:
    cache = root / "cache" if cached else None
    data = make(formats, root, lr=kind, split="validation", first=801, last=803, cache=cache)
    assert [data[i].name for i in range(len(data))] == ["0801.png", "0802.png", "0803.png"]
    hr = formats.read(root / "DIV2K_valid_HR/0802.png").pixels
    lr = formats.read(root / f"DIV2K_valid_LR_{kind}/X2/0802x2.png").pixels
    torch.testing.assert_close(data[1].hr, hr, rtol=0, atol=0)
    torch.testing.assert_close(data[1].lr, lr, rtol=0, atol=0)
    check_dataset(data)
    assert isinstance(data, CachedPairs) == cached


def test_hr_alone_for_any_scale_and_in_grey(formats: Formats, root: Path) -> None:
    data = make(formats, root, scale=8, first=2, last=2, mode="grey")
    assert (len(data), data.channels, data[0].hr.shape, data[0].lr) == (1, 1, (1, 24, 36), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            "{root}/DIV2K_train_HR: 0004.png is missing (797 of 800); run: srkit "
            "data get div2k --out {out}",
        ),
        (
            {"split": "test"},
            "{root}/DIV2K_test_HR: no such folder; run: srkit data get div2k --out {out}; "
            "the HR pictures of the test split were never published; papers use validation",
        ),
        (
            {"lr": "bicubic", "scale": 3, "last": 3},
            "{root}/DIV2K_train_LR_bicubic/X3: no such folder; run: srkit data get div2k "
            "lr=bicubic scale=3 --out {out}",
        ),
        (
            {"root": Path("data/DIV2K"), "lr": "unknown", "scale": 4},
            "data/DIV2K/DIV2K_train_HR: no such folder; run: srkit data get div2k "
            "lr=unknown scale=4",
        ),
        (
            {"root": Path("elsewhere")},
            "elsewhere/DIV2K_train_HR: no such folder; run: srkit data get div2k; then set root to "
            "data/DIV2K",
        ),
        (
            {"root": Path("data/DIV2K")},
            "data/DIV2K/DIV2K_train_HR: no such folder; run: srkit data get div2k",
        ),
    ],
)
def test_missing_files_are_named_with_the_download_command(
    formats: Formats,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(DataError) as caught:
        make(formats, **{"root": root, **options})
    assert str(caught.value) == message.format(root=root, out=root.parent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"lr": "unknown", "scale": 8, "last": 3},
            "official LR pictures exist for the scales 2, 3 and 4, not 8; set lr to none "
            "and add a degradation",
        ),
        ({"first": 801}, "first 801 and last 800 do not fit; the pictures are 1 to 800"),
        ({"first": 3, "last": 2}, "first 3 and last 2 do not fit; the pictures are 1 to 800"),
    ],
)
def test_bad_options(formats: Formats, root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(formats, root, **options)


@pytest.mark.parametrize("inside", ["", "Flickr2K_HR", "Flickr2K"])
def test_flickr2k_in_the_folders_of_both_archives(
    formats: Formats, tmp_path: Path, inside: str
) -> None:
    root = tmp_path / "Flickr2K"
    for number in (1, 2):
        write_picture(root / inside / f"{number:06d}.png", 24, 30)
        write_picture(root / "Flickr2K_LR_bicubic/X2" / f"{number:06d}x2.png", 12, 15)
    data = flickr2k(formats=formats, scale=2, root=root, lr="bicubic", last=2)
    check_dataset(data)
    lr = data[1].lr
    assert (len(data), lr is not None and lr.shape) == (2, (3, 12, 15))
    with pytest.raises(DataError) as caught:
        flickr2k(formats=formats, scale=2, root=root)
    assert str(caught.value) == (
        f"{root / inside}: 000003.png is missing (2648 of 2650); run: srkit data get "
        f"flickr2k --out {tmp_path}"
    )
    with pytest.raises(DataError, match="srkit data get flickr2k source=authors --out"):
        flickr2k(formats=formats, scale=3, root=root, lr="bicubic", last=2)


def test_df2k_combines_div2k_and_flickr2k(
    formats: Formats, tmp_path: Path, registry: Registry
) -> None:
    for folder, count, width in (("DIV2K/DIV2K_train_HR", 800, 4), ("Flickr2K", 2650, 6)):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(1, count + 1):
            (tmp_path / folder / f"{number:0{width}d}.png").touch()
    options = {"div2k_root": tmp_path / "DIV2K", "flickr2k_root": tmp_path / "Flickr2K"}
    data = build(
        registry.get("datasets", "df2k").factory, options, formats=formats, scale=4, channels=3
    )
    assert len(data) == 3450
    (tmp_path / "Flickr2K/002650.png").unlink()
    with pytest.raises(DataError, match=r"002650\.png is missing \(1 of 2650\); run"):
        df2k(formats=formats, scale=4, **options)
