"""Folders of HR pictures with folders of their LR pictures."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from srkit_photos.datasets.folders import image_folder
from torch import Tensor

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.data.crops import Draws
from srkit.errors import DataError, RecipeError
from srkit.images.formats import Formats
from srkit.interfaces import Sample, WindowedDataset
from srkit.recipe.recipe import parse_recipe
from srkit.testing import check_dataset

SCALE = 2


def write(path: Path, height: int, width: int, seed: int = 0) -> Path:
    """Write a picture in which every pixel states its place."""
    y, x = np.mgrid[:height, :width]
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.stack([y, x, np.full_like(x, seed)], -1).astype(np.uint8)
    PIL.Image.fromarray(values).save(path)
    return path


def pairs(
    folder: Path, suffix: str, sides: tuple[int, int] = (40, 60), ending: str = ".png"
) -> Path:
    """Write three pairs, in two folders below HR and LR."""
    for index, name in enumerate(["0001", "0002", "more/0003"]):
        write(folder / f"HR/{name}.png", *sides, seed=index)
        height, width = (side // SCALE for side in sides)
        write(folder / f"LR/{name}{suffix}{ending}", height, width, seed=index)
    return folder


def folder_of(folder: Path, formats: Formats, **options: Any) -> Any:
    """Return the data set of a folder of pairs."""
    given = {"root": folder / "HR", "lr": folder / "LR", "scale": SCALE}
    return image_folder(formats=formats, **(given | options))


@pytest.mark.parametrize(
    ("suffix", "option"),
    [
        ("x2", {}),
        ("", {}),
        ("x2", {"lr_suffix": "x2"}),
        ("_lr", {"lr_suffix": "_lr"}),
        ("", {"lr_suffix": ""}),
        ("x2", {"lr_suffix": "x{scale}"}),
    ],
)
def test_lr_is_found_by_its_name(
    tmp_path: Path, formats: Formats, suffix: str, option: dict[str, str]
) -> None:
    data = folder_of(pairs(tmp_path, suffix), formats, **option)
    check_dataset(data)
    assert ([data[i].name for i in range(3)], data.notes) == (
        ["0001.png", "0002.png", "more/0003.png"],
        [],
    )
    for index in range(3):
        sample = data[index]
        assert sample.lr is not None
        assert (sample.hr.shape, sample.lr.shape) == ((3, 40, 60), (3, 20, 30))
        assert sample.hr[2].unique() == sample.lr[2].unique() == torch.tensor(index / 255)
    assert torch.equal(pickle.loads(pickle.dumps(data))[1].lr, data[1].lr)


def test_other_extensions_and_the_scale_in_the_path(tmp_path: Path, formats: Formats) -> None:
    folder = pairs(tmp_path, "", ending=".bmp")
    (folder / "LR").rename(folder / "X2")
    data = folder_of(folder, formats, lr=folder / "X{scale}")
    assert data[2].lr is not None


def test_start_and_stop_and_labels(tmp_path: Path, formats: Formats) -> None:
    folder = pairs(tmp_path, "x2")
    labels = tmp_path / "labels.csv"
    labels.write_text("path,class_index\n0001.png,0\n0002.png,3\nmore/0003.png,1\n")
    data = folder_of(folder, formats, start=-2, labels=labels)
    assert [(data[i].name, data[i].label) for i in range(len(data))] == [
        ("0002.png", 3),
        ("more/0003.png", 1),
    ]
    assert data.classes == ["0", "1", "2", "3"]


@pytest.mark.parametrize("paired", [True, False])
def test_several_folders(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch, paired: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        pairs(Path(name), "x2")
    roots = [Path("two/HR"), tmp_path / "one" / "HR"]
    lr = [Path("two/LR"), tmp_path / "one" / "LR"] if paired else None
    data = folder_of(tmp_path, formats, root=roots, lr=lr, start=1, stop=-1)
    assert [data[i].name for i in range(len(data))] == [
        "two/HR/0002.png",
        "two/HR/more/0003.png",
        f"{tmp_path}/one/HR/0001.png",
        f"{tmp_path}/one/HR/0002.png",
    ]
    assert all((data[i].lr is not None) == paired for i in range(4))


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("rounding", [0, 1])
def test_crops_are_aligned(tmp_path: Path, formats: Formats, cache: bool, rounding: int) -> None:
    """HR pixel (y, x) lies in LR pixel (y // 2, x // 2), also if HR is not a multiple."""
    folder = tmp_path / "pairs"
    write(folder / "HR/a.png", 41, 60)
    write(folder / "LR/a.png", 20 + rounding, 30)
    options = {"cache": tmp_path / "arrays"} if cache else {}
    data = folder_of(folder, formats, **options)
    assert isinstance(data, WindowedDataset) == cache
    check_dataset(data)
    assert sides(data[0]) == ([40, 60], [20, 30])
    assert data.sizes().hr.tolist() == [[40, 60]] if not cache else data.extent(0).hr == (40, 60)
    draws = Draws(data, 0, 8, (), SCALE)
    tops = set()
    for epoch in range(200):
        sample = draws.draw(epoch, 0).sample
        assert sides(sample) == ([8, 8], [4, 4])
        assert sample.lr is not None
        levels, small = (image.mul(255).round() for image in (sample.hr[:2], sample.lr[:2]))
        assert torch.equal(levels[:, ::SCALE, ::SCALE] / SCALE, small)
        tops.add(int(levels[0, 0, 0]))
    assert (min(tops), max(tops)) == (0, 32)  # every place, and no more


def sides(sample: Sample) -> tuple[list[int], list[int]]:
    def two(image: Tensor | None) -> list[int]:
        assert image is not None
        return list(image.shape[1:])

    return two(sample.hr), two(sample.lr)


@pytest.mark.parametrize("cache", [True, False])
def test_unreadable_pairs_are_skipped_with_their_number(
    tmp_path: Path, formats: Formats, cache: bool
) -> None:
    folder = pairs(tmp_path / "pairs", "x2")
    damaged = folder / "LR" / "0002x2.png"
    damaged.write_bytes(damaged.read_bytes()[:80])
    write(folder / "HR/small.png", 30, 14)
    write(folder / "LR/smallx2.png", 15, 7)
    options: dict[str, Any] = {"cache": tmp_path / "arrays"} if cache else {}
    data = folder_of(folder, formats, unreadable="skip", least_side=16, **options)
    assert [data[i].name for i in range(len(data))] == ["0001.png", "more/0003.png"]
    (note,) = data.notes
    first, *details = note.split("\n  ")
    assert first == "skipped 2 of 4 pictures:"
    assert details[0].startswith(f"{damaged}: cannot be decoded")
    assert details[1] == (f"{folder}/HR/small.png: 14x30 pixels are too small for a crop of 16")
    with pytest.raises(DataError, match=r"none of 4 pictures can be used; .*too small for a crop"):
        folder_of(folder, formats, unreadable="skip", least_side=99)


def test_what_does_not_fit(tmp_path: Path, formats: Formats) -> None:
    folder = pairs(tmp_path, "x2")
    extra = write(folder / "LR/0009x2.png", 20, 30)
    (note,) = folder_of(folder, formats).notes
    assert note == f"{folder}/LR: 1 pictures, such as 0009x2, have no HR in {folder}/HR"
    with pytest.raises(ValueError, match="lr has 1 folders, but root 2; list one for each"):
        folder_of(folder, formats, root=[folder / "HR", folder / "LR"])
    with pytest.raises(ValueError, match="root contains a folder twice, or one inside another"):
        folder_of(folder, formats, root=[folder / "HR", folder], lr=None)
    with pytest.raises(ValueError, match="lr_suffix requires lr; add the folder of the LR pic"):
        folder_of(folder, formats, lr=None, lr_suffix="x2")
    with pytest.raises(ValueError, match="enlarge requires size; add it, or remove enlarge"):
        folder_of(folder, formats, lr=None, enlarge=True)
    with pytest.raises(ValueError, match="size cannot be combined with lr and cache; remove one"):
        folder_of(folder, formats, size=16)
    write(folder / "LR/0001x2.bmp", 20, 30).rename(folder / "LR/0001x2.jpg")
    write(folder / "LR/0001x2.bmp", 20, 30)
    (folder / "LR/0001x2.png").unlink()
    with pytest.raises(DataError, match=r"\['0001x2.bmp', '0001x2.jpg'\] are LR of .*0001.png"):
        folder_of(folder, formats)
    extra.unlink()
    (folder / "LR/0002x2.png").unlink()
    message = f"{folder}/LR/0002x2.png is missing: the LR of {folder}/HR/0002.png; add it, or set"
    with pytest.raises(DataError) as caught:
        folder_of(folder, formats, start=1)
    assert str(caught.value).startswith(message)


def test_pairs_of_another_scale_are_found_before_a_run(tmp_path: Path, registry: Registry) -> None:
    from accelerate import PartialState

    from srkit.training.rehearsal import rehearse

    folder = pairs(tmp_path, "")
    write(folder / "LR/0002.png", 20, 28)
    dataset = {"type": "image_folder", "root": str(folder / "HR"), "lr": str(folder / "LR")}
    source = {"dataset": dataset}
    tree = {
        "name": "paired",
        "scale": SCALE,
        "generator": {"type": "srcnn"},
        "losses": {"l1": {}},
        "data": {"train": {**source, "crop": 16}, "validation": source},
        "training": {"batch_size": 2},
    }
    assembly = assemble(parse_recipe(tree, "here"), registry, "here", splits=SPLITS)
    with pytest.raises(RecipeError) as caught:
        rehearse(assembly, PartialState(cpu=True), "here")
    text = "0002.png: LR of 28x20 pixels does not fit HR of 60x40 at scale 2; set the recipe's "
    assert caught.value.problems == [
        f"data.{split}: {text}scale, or remove the pair" for split in ("train", "validation")
    ]
