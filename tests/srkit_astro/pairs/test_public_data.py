"""Small files in the layouts of public data sets, read as data/*/README.md says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from astropy.io import fits
from srkit_astro.pairs.dataset import LensPairs
from srkit_photos.datasets.folders import image_folder

from srkit.errors import DataError
from srkit.images import Formats

DATA = Path(__file__).parents[3] / "data"


def program(page: str) -> str:
    """Return the program of a page."""
    return re.findall(r"```python\n(.*?)```", (DATA / page).read_text("utf-8"), re.DOTALL)[0]


def recipe(page: str) -> Any:
    """Return the last recipe of a page."""
    text = (DATA / page).read_text("utf-8")
    return yaml.safe_load(re.findall(r"```yaml(?: recipe)?\n(.*?)```", text, re.DOTALL)[-1])


def draw(rng: np.random.Generator, side: int) -> Any:
    return rng.normal(size=(side, side)).astype(np.float32)


def test_real_pairs_of_deeplense(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for side, size in (("LR", 16), ("HR", 32)):
        (tmp_path / side).mkdir()
        for number in (1, 2, 10):
            np.save(tmp_path / side / f"{side}_{number}.npy", draw(rng, size)[None])
    pairs = LensPairs(scale=2, lr=tmp_path / "LR", hr=tmp_path / "HR", pixel_scale=0.1)
    assert len(pairs) == 3
    sample = pairs[0]
    assert sample.lr is not None
    assert (sample.lr.shape, sample.hr.shape) == ((1, 16, 16), (1, 32, 32))


def test_classes_of_deeplense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formats: Formats
) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    images = {}
    for name in ("no_sub", "cdm", "axion"):
        folder = tmp_path / "data/DeepLense/Model_I" / name
        folder.mkdir(parents=True)
        for number in range(2):
            image = images[f"{name}/{number}.npy"] = abs(draw(rng, 20))
            stored: Any = image
            if name == "axion":  # as DeepLenseSim saves them
                stored = np.empty(2, object)
                stored[:] = [image, 1e-23]
            np.save(folder / f"{number}.npy", stored, allow_pickle=True)
    exec(program("DeepLense/README.md"), {})
    options = recipe("DeepLense/README.md")["data"]["train"]["dataset"]
    assert options.pop("type") == "image_folder"
    options |= {"root": Path(options["root"]), "labels": Path(options["labels"])}
    data = image_folder(formats=formats, **options)
    assert len(data) == 6
    for index in range(6):
        sample = data[index]
        assert ["no_sub", "cdm", "axion"][sample.label] == sample.name.split("/")[0]
        np.testing.assert_allclose(sample.hr[0].numpy(), images[f"{sample.name}"], rtol=1e-6)


def test_patches_of_star(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data/STAR"
    name = "hst_10152_68_acs_wfc_f814w_j90i68_drc_padded_hr"
    for split, count in (("train", 3), ("eval", 2)):
        for side in ("hr", "lr"):
            (root / f"{split}_{side}_patch").mkdir(parents=True)
        for number in range(count):
            hr = abs(draw(rng, 32)).astype(np.float64)
            lr = hr.reshape(16, 2, 16, 2).sum((1, 3))
            for side, image in (("hr", hr), ("lr", lr)):
                mask = np.ones(image.shape, bool)
                mask[0, 0] = number != 1  # the second has a missing pixel
                patch: Any = {"image": image, "mask": mask, "coord": (0, 0), "stars": []}
                path = root / f"{split}_{side}_patch" / f"{name}_{side}_patch_{number}.npy"
                np.save(path, patch, allow_pickle=True)
    with pytest.raises(DataError):  # pickles are not read
        LensPairs(scale=2, lr=root / "train_lr_patch", hr=root / "train_hr_patch")
    exec(program("STAR/README.md"), {})
    sources = recipe("STAR/README.md")["data"]
    found = {}
    for split in ("train", "test"):
        options = sources[split]["dataset"]
        assert options.pop("type") == "lens_pairs"
        options |= {"lr": Path(options["lr"]), "hr": Path(options["hr"])}
        options["fractions"] = tuple(options["fractions"])
        found[split] = LensPairs(scale=2, **options)
    assert [len(pairs) for pairs in found.values()] == [2, 1]
    sample = found["train"][0]
    assert sample.lr is not None
    # Both are surface brightness: the mean of the HR pixels is the LR pixel.
    blocks = sample.hr.reshape(16, 2, 16, 2).mean((1, 3))
    np.testing.assert_allclose(blocks.numpy(), sample.lr[0].numpy(), rtol=1e-5)


def test_cutouts_of_hsc(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for side, size, scale in (("lr", 16, 0.168), ("hr", 32, 0.084)):
        (tmp_path / side).mkdir()
        primary = fits.PrimaryHDU()
        primary.header["FLUXMAG0"] = 10 ** (0.4 * 27)
        image = fits.ImageHDU(draw(rng, size), name="IMAGE")
        image.header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=150.1, CRVAL2=2.2)
        image.header.update(CRPIX1=(size + 1) / 2, CRPIX2=(size + 1) / 2)
        image.header.update(CD1_1=-scale / 3600, CD2_2=scale / 3600)
        mask = fits.ImageHDU(np.full((size, size), 1 << 5, np.int32), name="MASK")
        mask.header["HIERARCH MP_DETECTED"] = 5
        variance = fits.ImageHDU(np.full((size, size), 0.04, np.float32), name="VARIANCE")
        fits.HDUList([primary, image, mask, variance]).writeto(tmp_path / side / "a.fits")
    pairs = LensPairs(scale=2, lr=tmp_path / "lr", hr=tmp_path / "hr", values="flux")
    sample = pairs[0]
    assert sample.pixel_scale == pytest.approx(0.084)
    assert sample.variance is not None
    assert float(sample.variance.max()) == pytest.approx(0.04)
