"""Tiny ImageNet, on a small tree of the same layout; downloaded from a server on this machine."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from command_line import Srkit
from srkit_photos import downloads
from srkit_photos.datasets.tiny_imagenet import tiny_imagenet
from tiny_imagenet_setup import WNIDS, tiny_archive, tiny_files, write_tiny
from web_server import Web, serving

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Download
from srkit.testing import check_dataset, check_download

SORTED = sorted(WNIDS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "TinyImageNet")


def decoded(content: Path) -> torch.Tensor:
    with PIL.Image.open(content) as picture:
        values = np.array(picture.convert("RGB"))
    return torch.from_numpy(values).permute(2, 0, 1) / 255


def test_training_pictures_are_labelled_by_their_folders(root: Path, formats: Formats) -> None:
    data = tiny_imagenet(formats=formats, split="train", root=root)
    check_dataset(data)
    assert len(data) == 12
    assert data.classes == [
        "goldfish",
        "crane (n02012849)",
        "Egyptian cat",
        "crane (n03126707)",
    ]
    for sample in (data[k] for k in range(12)):
        wnid = sample.name.split("/")[1]
        assert sample.label == SORTED.index(wnid)
        assert torch.equal(sample.hr, decoded(root / sample.name))
        assert sample.lr is None


def test_validation_and_test_halve_every_class(root: Path, formats: Formats) -> None:
    halves = [
        tiny_imagenet(formats=formats, split=split, root=root)
        for split in ("validation", "test")  # type: ignore[arg-type]
    ]
    names = [{data[k].name for k in range(len(data))} for data in halves]
    assert names[0].isdisjoint(names[1])
    assert names[0] | names[1] == {f"val/images/val_{k}.JPEG" for k in range(16)}
    for data in halves:
        assert Counter(data[k].label for k in range(len(data))) == dict.fromkeys(range(4), 2)
        for sample in (data[k] for k in range(len(data))):
            number = int(re.sub(r"\D", "", sample.name))
            assert sample.label == SORTED.index(WNIDS[number % 4])


def test_hr_is_the_picture_enlarged(root: Path, formats: Formats) -> None:
    data = tiny_imagenet(formats=formats, split="train", root=root, enlarge_to=160)
    check_dataset(data)
    sample = data[1]
    assert sample.lr is not None
    assert torch.equal(sample.lr, decoded(root / sample.name))
    green = PIL.Image.fromarray(sample.lr[1].numpy() * 255)  # floats
    expected = np.array(green.resize((160, 160), PIL.Image.Resampling.BICUBIC)).clip(0, 255) / 255
    np.testing.assert_allclose(sample.hr[1].numpy(), expected, atol=1e-5)


def test_chosen_classes_are_renumbered(root: Path, formats: Formats) -> None:
    (root / "mine.txt").write_text("Egyptian cat\nn02012849\n")
    for classes in (["n02012849", "egyptian CAT"], [2, 1], root / "mine.txt"):
        data = tiny_imagenet(formats=formats, split="train", root=root, classes=classes)  # type: ignore[arg-type]
        assert data.classes == ["crane (n02012849)", "Egyptian cat"]
        found = {data[k].name.split("/")[1]: data[k].label for k in range(len(data))}
        assert found == {"n02012849": 0, "n02124075": 1}
    with pytest.raises(ValueError, match=r"^classes: 'crane' is ambiguous: classes 1 and 3; give"):
        tiny_imagenet(formats=formats, split="train", root=root, classes=["crane", 0])


@pytest.mark.parametrize(
    ("file", "content", "split", "message"),
    [
        (
            "val/val_annotations.txt",
            b"val_0.JPEG\tn01443537\t0\t0\t9\t9\nlost.JPEG\tn01443537\n",
            "validation",
            "{root}/val/val_annotations.txt, line 2: no picture 'lost.JPEG' in {root}/val/images",
        ),
        (
            "val/val_annotations.txt",
            b"val_0.JPEG\tn09999999\n",
            "test",
            "{root}/val/val_annotations.txt, line 1: 'n09999999' is not in {root}/wnids.txt",
        ),
        (
            "val/val_annotations.txt",
            b"",
            "test",
            "{root}/val/val_annotations.txt: lists no pictures",
        ),
        (
            "wnids.txt",
            b"n01443537\n",
            "train",
            "{root}/train/n02012849/images/n02012849_0.JPEG: 'n02012849' is not in "
            "{root}/wnids.txt",
        ),
        (
            "words.txt",
            b"n01443537\tgoldfish\n",
            "train",
            "{root}/words.txt: has no name for n02012849",
        ),
    ],
)
def test_an_inconsistent_tree(
    root: Path, formats: Formats, file: str, content: bytes, split: str, message: str
) -> None:
    (root / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        tiny_imagenet(formats=formats, split=split, root=root)  # type: ignore[arg-type]
    assert str(caught.value) == message.format(root=root)


@pytest.mark.parametrize(
    ("folder", "remedy"),
    [
        ("away/TinyImageNet", "run: srkit data get tiny_imagenet --out {tmp}/away"),
        ("mine", "run: srkit data get tiny_imagenet; then set root to data/TinyImageNet"),
    ],
)
def test_a_missing_tree(tmp_path: Path, formats: Formats, folder: str, remedy: str) -> None:
    root = tmp_path / folder
    with pytest.raises(DataError) as caught:
        tiny_imagenet(formats=formats, split="train", root=root)
    expected = f"{root}/wnids.txt: no such file; {remedy.format(tmp=tmp_path)}"
    assert str(caught.value) == expected


def test_the_download_states_its_size_and_checksum() -> None:
    wanted = downloads.tiny_imagenet()
    check_download(wanted)
    (archive,) = wanted.archives
    assert (archive.size, archive.checksum) == (
        248_100_043,
        "md5:90528d7ca1a48142e341f4ef8d21d0de",
    )


def served(monkeypatch: pytest.MonkeyPatch, web: Web, content: bytes) -> None:
    """Serve the download from this machine; everything else is unchanged."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    wanted = downloads.tiny_imagenet()
    digest = hashlib.md5(tiny_archive(), usedforsecurity=False).hexdigest()
    archive = replace(
        wanted.archives[0],
        url=f"{web.address}/tiny-imagenet-200.zip",
        size=len(content),
        checksum=f"md5:{digest}",
    )

    def here() -> Download:
        return replace(wanted, archives=[archive])

    monkeypatch.setattr(downloads, "tiny_imagenet", here)


def test_downloads_into_the_folder_that_the_data_set_reads(
    srkit: Srkit, tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tiny_archive()
    with serving(Web({"/tiny-imagenet-200.zip": content})) as web:
        served(monkeypatch, web, content)
        done = srkit("data", "get", "tiny_imagenet", "--yes")
    assert done.status == 0, done.err
    root = tmp_path / "data/TinyImageNet"
    for name, file in tiny_files().items():
        assert (root / name).read_bytes() == file
    assert len(tiny_imagenet(formats=formats, split="train", root=root)) == 12


def test_an_archive_with_another_checksum_is_not_unpacked(
    srkit: Srkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tiny_archive() + b"more"
    with serving(Web({"/tiny-imagenet-200.zip": content})) as web:
        served(monkeypatch, web, content)
        done = srkit("data", "get", "tiny_imagenet", "--yes")
    assert done.status == 1
    assert "tiny-imagenet-200.zip" in done.err
    assert not (tmp_path / "data/TinyImageNet/train").exists()
