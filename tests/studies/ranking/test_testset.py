from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from PIL import Image as Picture
from skimage.data import astronaut

from srkit.errors import DataError
from srkit.functional.resizing import resize
from srkit.images.formats import Formats
from srkit.studies.ranking.testset import open_testset


def save(path: Path, height: int, width: int, grey: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = astronaut()[:height, :width]
    Picture.fromarray(pixels[..., 0] if grey else pixels).save(path)
    return path


def levels(image: torch.Tensor) -> torch.Tensor:
    return (image * 255).round().to(torch.uint8)


def test_8_bit_image_is_cropped_and_shrunk_in_8_bits(tmp_path: Path, formats: Formats) -> None:
    testset = open_testset(save(tmp_path / "a.png", 50, 62), 4, formats)
    (pair,) = testset
    assert (testset.title, pair.name, len(testset)) == ("a.png", "a.png", 1)
    assert pair.is_8_bit
    assert pair.hr.pixels.shape == (3, 48, 60)
    hr = torch.from_numpy(astronaut()[:48, :60].copy()).permute(2, 0, 1)
    assert torch.equal(levels(pair.hr.pixels), hr)
    assert torch.equal(levels(pair.lr.pixels), resize(hr[None], factor=0.25)[0])
    assert testset.notes == ["LR: bicubic 1/4 of HR, as by MATLAB's imresize"]


@pytest.mark.shared
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_equals_that_of_set5(shared: Path, formats: Formats, scale: int) -> None:
    """The LR of Set5 was made by MATLAB."""
    folder = shared / "data" / "set5"
    given = open_testset(folder, scale, formats)
    assert given.notes == [f"LR: {folder / f'X{scale}'}"]
    made = open_testset(folder / "HR", scale, formats)
    assert len(given) == len(made) == 5
    for first, second in zip(given, made, strict=True):
        off = levels(first.lr.pixels).int() - levels(second.lr.pixels).int()
        assert off.abs().max() <= 1
        assert (off != 0).float().mean() < 0.01


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "a.png"),
        ("a.png", "ax2.png"),
        ("a_HR.png", "a_LR.png"),
        ("img_1_SRF_2_HR.png", "img_1_SRF_2_LR.png"),
    ],
)
def test_lr_is_found_by_its_name(tmp_path: Path, formats: Formats, names: tuple[str, str]) -> None:
    save(tmp_path / "set" / "HR" / names[0], 40, 30)
    lr = save(tmp_path / "set" / "LR" / names[1], 20, 15)
    (pair,) = open_testset(tmp_path / "set", 2, formats)
    assert torch.equal(pair.lr.pixels, formats.read(lr).pixels)


def test_lr_folder_can_be_given(tmp_path: Path, formats: Formats) -> None:
    save(tmp_path / "hr" / "a.png", 41, 31)
    save(tmp_path / "noisy" / "a.png", 20, 15)
    testset = open_testset(tmp_path / "hr", 2, formats, tmp_path / "noisy")
    assert testset[0].hr.pixels.shape == (3, 40, 30)
    assert testset.notes == [f"LR: {tmp_path / 'noisy'}"]


def test_set_is_found_by_its_name(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "data" / "Set5" / "HR" / "a.png", 40, 40)
    assert open_testset("set5", 2, formats).title == "Set5"


def test_grey_images_are_converted_to_rgb(tmp_path: Path, formats: Formats) -> None:
    (pair,) = open_testset(save(tmp_path / "a.png", 40, 40, grey=True), 2, formats)
    assert pair.hr.pixels.shape == (3, 40, 40)
    assert pair.lr.pixels.shape == (3, 20, 20)


def test_measured_values_are_not_rounded(tmp_path: Path, formats: Formats) -> None:
    values = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    axes = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1e-5, "CDELT2": 1e-5}
    header = fits.Header({**axes, "MAGZERO": 25.0})
    fits.PrimaryHDU(values, header).writeto(tmp_path / "a.fits")
    (pair,) = open_testset(tmp_path / "a.fits", 2, formats)
    assert not pair.is_8_bit
    known = {"bits": 32, "zero_point": 25.0, "pixel_scale": pytest.approx(0.036)}
    assert pair.hr.metadata == known
    assert pair.lr.metadata == {**known, "pixel_scale": pytest.approx(0.072)}
    expected = resize(torch.from_numpy(values)[None, None], factor=0.5)[0]
    assert torch.equal(pair.lr.pixels, expected)


def test_error_for_missing_images(tmp_path: Path, formats: Formats) -> None:
    message = (
        f"{tmp_path / 'none'}: no such image, folder, or folder in data/; expected HR images, or a "
        "folder with the subfolders HR and X2, X3 or X4"
    )
    with pytest.raises(DataError) as caught:
        open_testset(tmp_path / "none", 2, formats)
    assert str(caught.value) == message
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: contains no images; known extensions: "):
        open_testset(tmp_path / "empty", 2, formats)


def test_error_for_lr_that_is_missing_or_of_another_size(tmp_path: Path, formats: Formats) -> None:
    hr = save(tmp_path / "HR" / "a.png", 40, 40)
    lr = save(tmp_path / "X2" / "b.png", 20, 20)
    with pytest.raises(DataError) as caught:
        open_testset(tmp_path, 2, formats)
    assert str(caught.value) == (
        f"{tmp_path / 'X2'}: contains no LR of {hr}; expected a.png or ax2.png"
    )
    lr.rename(tmp_path / "X2" / "ax2.png")
    save(tmp_path / "X2" / "ax2.png", 20, 19)
    with pytest.raises(DataError) as caught:
        open_testset(tmp_path, 2, formats)[0]
    assert str(caught.value) == (
        f"{tmp_path / 'X2' / 'ax2.png'}: has 3 x 20 x 19 (channels x height x width); expected "
        f"3 x 20 x 20, 1/2 of {hr}"
    )
    with pytest.raises(DataError, match=r"nowhere: no such folder; expected LR images$"):
        open_testset(tmp_path, 2, formats, tmp_path / "nowhere")


def test_error_for_an_image_smaller_than_the_scale(tmp_path: Path, formats: Formats) -> None:
    path = save(tmp_path / "a.png", 3, 40)
    with pytest.raises(DataError) as caught:
        open_testset(path, 4, formats)[0]
    assert str(caught.value) == f"{path}: has fewer than 4 pixels on a side"
