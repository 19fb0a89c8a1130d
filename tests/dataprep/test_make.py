from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from astropy.io import fits
from PIL import Image as Pillow
from pydantic import PositiveInt
from rich.console import Console
from srkit_astro.pairs.dataset import LensPairs
from torch import Tensor

from srkit import hookimpl
from srkit.assembly.device import prepare
from srkit.components.registry import Registry
from srkit.data.batches import evaluation_batches
from srkit.dataprep.make import locate, make
from srkit.errors import DataError, RecipeError
from srkit.functional.resizing import resize
from srkit.images.formats import Formats
from srkit.interfaces import Sample
from srkit.recipe.recipe import parse_recipe


class Sky:
    """Labelled noise with zero mean, with or without LR.

    Parameters
    ----------
    length
        Images.
    pairs
        Whether it has LR, too, with its variance.
    same_name
        Whether all images have the same name.
    odd
        Index of an image in a different unit.
    bad
        Index of an image that cannot be read.
    """

    channels = 1
    classes: Sequence[str] | None = ("even", "odd")
    notes = ("made up",)

    def __init__(
        self,
        *,
        length: PositiveInt = 3,
        pairs: bool = True,
        same_name: bool = False,
        odd: int = -1,
        bad: int = -1,
    ) -> None:
        self.length, self.pairs, self.same_name = length, pairs, same_name
        self.odd, self.bad = odd, bad

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if index == self.bad:
            raise DataError(f"image {index} is damaged")
        hr = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(index))
        name = "night/same" if self.same_name else f"night/{index}"
        unit = "Jy" if index == self.odd else "count / s"
        sample = Sample(name, hr, None, index % 2, (-5.0, 50.0), unit, 0.084)
        if not self.pairs:
            return sample
        lr = torch.nn.functional.avg_pool2d(hr, 2)
        return replace(sample, lr=lr, variance=torch.full_like(lr, 0.25))


class Noise:
    """Mean of blocks, with noise."""

    def __init__(self, *, scale: int) -> None:
        self.factor, self.scale = 1 / scale, scale

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        lr = torch.nn.functional.avg_pool2d(hr, self.scale)
        drawn = [
            torch.randn(lr.shape[1:], generator=torch.Generator().manual_seed(s)) for s in seeds
        ]
        return lr + torch.stack(drawn)


class Plugin:
    @hookimpl
    def srkit_datasets(self) -> dict[str, Any]:
        return {"sky": Sky}

    @hookimpl
    def srkit_degradations(self) -> dict[str, Any]:
        return {"noise": Noise}


@pytest.fixture(scope="module")
def stocked() -> Registry:
    registry = Registry.discover()
    registry.register(Plugin(), "made-up", distribution="made-up")
    return registry


Make = Callable[..., int]


@pytest.fixture
def make_sky(stocked: Registry, tmp_path: Path) -> Make:
    """Return a function that makes the pairs of a recipe in the folder ``out``."""

    def run(dataset: dict[str, Any] | None = None, **options: Any) -> int:
        recipe = parse_recipe(tree(dataset or {}, options.pop("degradation", None)), "sky.yaml")
        settings = {"workers": 0, "console": Console(quiet=True), **options}
        return make(recipe, stocked, tmp_path / "out", source="sky.yaml", **settings)

    return run


def tree(dataset: dict[str, Any], degradation: str | None) -> dict[str, Any]:
    return {
        "name": "sky",
        "scale": 2,
        "channels": 1,
        "seed": 5,
        "generator": {"type": "edsr", "blocks": 1, "features": 4},
        "losses": {"l1": {}},
        "data": {"train": {"dataset": {"type": "sky", **dataset}}},
        **({"degradation": {"type": degradation}} if degradation else {}),
    }


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("workers", [0, 2])
def test_real_pairs_are_written_unchanged(make_sky: Make, tmp_path: Path, workers: int) -> None:
    out = tmp_path / "out"
    assert make_sky(workers=workers) == 3
    names = [f"{part}/night/{i}.npy" for part in ("hr", "lr", "variance") for i in range(3)]
    assert files(out) == sorted([*names, "labels.csv", "pairs.csv", "pairs.json", "sheet.png"])
    for index in range(3):
        sample = Sky()[index]
        for part in ("hr", "lr", "variance"):
            values = np.load(out / part / "night" / f"{index}.npy")
            np.testing.assert_array_equal(values, getattr(sample, part).numpy())
            assert values.dtype == np.float32
    with (out / "labels.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["path", "class_index"],
        ["night/0.npy", "0"],
        ["night/1.npy", "1"],
        ["night/2.npy", "0"],
    ]
    stated = json.loads((out / "pairs.json").read_text())
    assert {key: stated[key] for key in ("unit", "pixel_scale", "data_range", "pairs", "seed")} == {
        "unit": "count / s",
        "pixel_scale": 0.084,
        "data_range": [-5.0, 50.0],
        "pairs": 3,
        "seed": 5,
    }
    assert stated["dataset"]["type"] == "sky"
    assert (out / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_lr_is_degraded_as_in_an_evaluation(make_sky: Make, tmp_path: Path) -> None:
    class Assembly:
        generator, degradation = type("Net", (), {"channels_last": False}), Noise(scale=2)
        data = ()

        def blamed(self, path: str) -> AbstractContextManager[None]:
            return nullcontext()

    make_sky({"pairs": False}, degradation="noise")
    loaded = evaluation_batches(Sky(pairs=False), range(3), 8, 5, 0)
    (batch,) = (prepare(b, Assembly(), torch.device("cpu")) for b in loaded)  # type: ignore[arg-type]
    assert batch.lr is not None
    for index in range(3):
        made = np.load(tmp_path / "out/lr/night" / f"{index}.npy")
        np.testing.assert_array_equal(made, batch.lr[index].numpy())


def test_lens_pairs_reads_the_pairs(make_sky: Make, tmp_path: Path) -> None:
    make_sky()
    folders = {part: tmp_path / "out" / part for part in ("lr", "hr", "variance")}
    pairs = LensPairs(scale=2, **folders)
    assert len(pairs) == 3
    for index in range(3):
        for part in ("lr", "hr", "variance"):
            assert torch.equal(getattr(pairs[index], part), getattr(Sky()[index], part))


def test_fits_states_the_unit(make_sky: Make, tmp_path: Path) -> None:
    make_sky(file_format="fits")
    with fits.open(tmp_path / "out/lr/night/1.fits") as hdus:
        np.testing.assert_array_equal(hdus[0].data, Sky()[1].lr[0])
        assert hdus[0].header["BUNIT"] == "count / s"
    assert fits.getheader(tmp_path / "out/variance/night/1.fits")["BUNIT"] == "(count / s)2"


def test_lens_pairs_reads_flux_per_pixel_from_fits(make_sky: Make, tmp_path: Path) -> None:
    make_sky(file_format="fits")
    hr = fits.getdata(tmp_path / "out/hr/night/1.fits")
    np.testing.assert_allclose(hr, Sky()[1].hr[0] / 4, rtol=1e-6)
    folders = {part: tmp_path / "out" / part for part in ("lr", "hr", "variance")}
    pairs = LensPairs(scale=2, **folders)
    for index in range(3):
        for part in ("lr", "hr", "variance"):
            torch.testing.assert_close(getattr(pairs[index], part), getattr(Sky()[index], part))


def pictures(folder: Path) -> list[np.ndarray[Any, Any]]:
    """Write two small pictures of noise, and return their levels."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    levels = [rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for _ in range(2)]
    for index, each in enumerate(levels):
        Pillow.fromarray(each).save(folder / f"{index}.png")
    return levels


def test_png_pairs_are_read_by_image_folder(registry: Registry, tmp_path: Path) -> None:
    levels = pictures(tmp_path / "in")
    out = tmp_path / "out"
    recipe = parse_recipe(
        {
            **tree({}, "bicubic"),
            "channels": 3,
            "data": {"train": {"dataset": {"type": "image_folder", "root": str(tmp_path / "in")}}},
        },
        "p.yaml",
    )
    options: dict[str, Any] = {"console": Console(quiet=True), "workers": 0, "file_format": "png"}
    assert make(recipe, registry, out, source="p.yaml", **options) == 2
    read = registry.get("datasets", "image_folder").factory
    pairs = read(root=out / "hr", lr=out / "lr", scale=2, formats=Formats.of(registry))
    for index, each in enumerate(levels):
        hr = torch.from_numpy(each).permute(2, 0, 1) / 255
        assert torch.equal(pairs[index].hr, hr)
        expected = resize(hr[None], factor=0.5)[0].clamp(0, 1)
        assert (pairs[index].lr - expected).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("dataset", [{}, {"pairs": False}])
def test_png_holds_pictures_alone(make_sky: Make, dataset: dict[str, Any]) -> None:
    with pytest.raises(DataError) as caught:
        make_sky(dataset, degradation="noise", file_format="png")
    assert str(caught.value) == (
        "night/0: PNG holds grey or RGB pictures in [0, 1], without unit and variance; use "
        "--format npy or fits"
    )


def test_existing_pairs_are_kept_and_missing_ones_made(make_sky: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"^image 2 is damaged$"):
        make_sky({"length": 4, "bad": 2})
    assert len((out / "pairs.csv").read_text().splitlines()) == 3
    description = json.loads((out / "pairs.json").read_text())
    description["dataset"]["bad"] = -1
    (out / "pairs.json").write_text(json.dumps(description))
    record = out / "pairs.csv"
    record.write_text(record.read_text() + "2,night/")  # a line truncated by a kill
    kept = (out / "hr/night/0.npy").stat().st_mtime_ns
    (out / "lr/night/1.npy").unlink()
    assert make_sky({"length": 4}) == 4
    assert (out / "hr/night/0.npy").stat().st_mtime_ns == kept
    assert (out / "lr/night/1.npy").is_file()
    rows = list(csv.reader(record.read_text().splitlines()))
    assert sorted(rows[1:]) == [[str(i), f"night/{i}", str(i % 2)] for i in range(4)]
    assert len((out / "labels.csv").read_text().splitlines()) == 5


def test_a_folder_of_other_pairs_is_refused(make_sky: Make, tmp_path: Path) -> None:
    make_sky()
    with pytest.raises(DataError) as caught:
        make_sky({"length": 4})
    assert str(caught.value) == (
        f"{tmp_path}/out/pairs.json: made with pairs 3, not 4; choose another --out, or remove the "
        "folder"
    )


def test_a_folder_of_other_files_is_refused(make_sky: Make, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").touch()
    with pytest.raises(DataError) as caught:
        make_sky()
    assert str(caught.value) == (
        f"{tmp_path}/out: contains files that srkit data make did not write; choose another --out"
    )


@pytest.mark.parametrize(
    ("dataset", "options", "error", "message"),
    [
        (
            {"pairs": False},
            {},
            RecipeError,
            "sky.yaml: 1 problem\n  degradation: missing; the data set of data.train has no LR "
            "images",
        ),
        (
            {},
            {"split": "test"},
            RecipeError,
            "sky.yaml: 1 problem\n  data.test: missing; the recipe has train",
        ),
        (
            {"same_name": True},
            {},
            DataError,
            "night/same: two images of the data set have this name, in upper or lower case; names "
            "must be unique, since each becomes a file name",
        ),
        (
            {"odd": 1},
            {},
            DataError,
            "night/1: its unit, pixel scale or data range {'unit': 'Jy', 'pixel_scale': 0.084, "
            "'data_range': [-5.0, 50.0]} differs from that of the first pair {'unit': 'count / s', "
            "'pixel_scale': 0.084, 'data_range': [-5.0, 50.0]}; write the two groups to different "
            "folders",
        ),
        (
            {"length": 0},
            {},
            RecipeError,
            "sky.yaml: 1 problem\n  data.train.dataset.length: got 0; expected a number greater "
            "than 0",
        ),
    ],
)
def test_pairs_that_cannot_be_made(
    make_sky: Make, dataset: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make_sky(dataset, **options)


@pytest.mark.parametrize("name", ["../up", "/etc/up", "a/../../up", "a:b"])
def test_a_name_that_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(
        DataError, match=rf"^image of the data set: '{re.escape(name)}.npy' is not the name of a f"
    ):
        locate(Path("out"), "hr", name, "npy")
