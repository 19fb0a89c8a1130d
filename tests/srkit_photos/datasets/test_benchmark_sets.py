"""Benchmark sets in their folders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from div2k_setup import write_picture
from srkit_photos.datasets.benchmark_sets import benchmark_set

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.testing import check_dataset

NAMES = ["baby", "bird", "butterfly", "head", "woman"]


@pytest.mark.parametrize("inside", ["", "HR", "Set5_HR"])
def test_hr_in_each_supported_folder(formats: Formats, tmp_path: Path, inside: str) -> None:
    for name in NAMES:
        write_picture(tmp_path / inside / f"{name}.png", 25, 31)
    write_picture(tmp_path / "LR/X3/babyx3.png", 8, 10)
    data = benchmark_set(formats=formats, scale=3, name="Set5", root=tmp_path)
    assert [data[i].name for i in range(len(data))] == [f"{name}.png" for name in NAMES]
    assert list(data.notes) == []
    check_dataset(data)
    whole = formats.read(tmp_path / inside / "bird.png").pixels
    assert torch.equal(data[1].hr, whole[:, :24, :30])
    assert data[1].lr is None


@pytest.mark.parametrize("inside", ["LR/X2", "LR_bicubic/X2", "X2"])
@pytest.mark.parametrize("ending", ["", "x2"])
def test_lr_beside_hr(formats: Formats, tmp_path: Path, inside: str, ending: str) -> None:
    write_picture(tmp_path / "HR/bird.png", 25, 31)
    write_picture(tmp_path / inside / f"bird{ending}.png", 12, 15)
    data = benchmark_set(formats=formats, scale=2, name="Set5", root=tmp_path, lr="files")
    lr = data[0].lr
    assert lr is not None
    assert (data[0].hr.shape, lr.shape) == ((3, 24, 30), (3, 12, 15))
    assert list(data.notes) == [f"{tmp_path}: 1 pictures; Set5 has 5"]


@pytest.mark.shared
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_real_set5(formats: Formats, shared: Path, scale: int) -> None:
    root = shared / "data/set5"
    data = benchmark_set(formats=formats, scale=scale, name="Set5", root=root, lr="files")
    assert len(data) == 5
    for index in range(5):
        sample = data[index]
        assert sample.lr is not None
        height, width = sample.lr.shape[1:]
        assert sample.hr.shape == (3, scale * height, scale * width)


def fails(formats: Formats, message: str, **options: object) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        benchmark_set(formats=formats, **{"scale": 2, **options})  # type: ignore[arg-type]


def test_missing_files(formats: Formats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = (
        "data/Set14: no such folder; copy its HR pictures there, or run: srkit data get "
        "benchmark_set name=Set14"
    )
    fails(formats, message, name="Set14")
    message = "data/Manga109: no such folder; copy its HR pictures there"
    fails(formats, message, name="Manga109")
    (tmp_path / "sets/B100/HR").mkdir(parents=True)
    message = (
        "sets/B100/HR: contains no pictures; copy its HR pictures there, or run: srkit data get "
        "benchmark_set name=B100 --out sets"
    )
    fails(formats, message, name="B100", root=Path("sets/B100"))


def test_missing_lr(formats: Formats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_picture(Path("mine/HR/a.png"), 20, 20)
    message = (
        "mine: no LR pictures of scale 2 in mine/LR/X2, mine/LR_bicubic/X2, mine/X2; set "
        "lr to none and add a degradation"
    )
    fails(formats, message, name="mine", root=Path("mine"), lr="files")
    Path("mine/X2").mkdir()
    message = "mine/X2: ax2.png, the LR of mine/HR/a.png, is missing; add it, or set lr to none"
    fails(formats, message, name="mine", root=Path("mine"), lr="files")
