"""LR and SR that are read from files in the same values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from astropy.io import fits

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats, ImageFile
from srkit.interfaces import Image
from srkit.models.open import open_model
from srkit.studies.consistency import pairs
from srkit.studies.consistency.pairs import Restored, read_restored
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscaler import ImageUpscaler

SHAPE = (6, 8)


def _read(source: Path, target: Path, formats: Formats, scale: float = 2) -> Restored:
    upscaler = ImageUpscaler(open_model("bicubic", Registry.discover(), scale=2), scale=scale)
    (found,) = read_restored(Job.of(source, target, formats), upscaler, {})
    return found


def _frame(path: Path, side: int = 1, unit: str = "nJy") -> Path:
    values = np.arange(48 * side**2, dtype=np.float32).reshape(6 * side, 8 * side)
    fits.writeto(path, values, fits.Header({"BUNIT": unit}))
    return path


@pytest.mark.parametrize(("unit", "factor"), [("nJy", 4), ("MJy / sr", 1)])
def test_flux_is_per_area_of_an_lr_pixel(
    tmp_path: Path, formats: Formats, unit: str, factor: float
) -> None:
    lr, sr = _frame(tmp_path / "a.fits", 1, unit), _frame(tmp_path / "b.fits", 2, unit)
    found = _read(lr, sr, formats)
    assert (found.measured, found.unit) == (True, unit)
    expected = factor * torch.arange(192.0).reshape(1, 12, 16)
    assert torch.equal(found.sr.pixels, expected)


def test_levels_are_converted_to_values(tmp_path: Path, formats: Formats) -> None:
    lr = _frame(tmp_path / "a.fits")  # from 0 to 47
    levels = np.zeros((12, 16), np.uint16)
    levels[3, 4], levels[5, 6] = 65535, 13107
    PIL.Image.fromarray(levels).save(tmp_path / "b.png")
    found = _read(lr, tmp_path / "b.png", formats)
    assert found.sr.pixels[0, 3, 4] == pytest.approx(47)
    assert found.sr.pixels[0, 5, 6] == pytest.approx(47 / 5)


def test_grey_in_an_rgb_format(tmp_path: Path, formats: Formats) -> None:
    levels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    PIL.Image.fromarray(levels).save(tmp_path / "a.png")
    large = PIL.Image.fromarray(levels.repeat(2, 0).repeat(2, 1)).convert("RGB")
    large.save(tmp_path / "b.webp", lossless=True)
    found = _read(tmp_path / "a.png", tmp_path / "b.webp", formats)
    expected = found.lr.pixels.repeat_interleave(2, 1).repeat_interleave(2, 2)
    torch.testing.assert_close(found.sr.pixels, expected)
    assert not found.measured


def test_other_channels(tmp_path: Path, formats: Formats) -> None:
    formats.write(tmp_path / "a.npy", Image(torch.rand(3, 6, 8), metadata={"bits": 32}))
    formats.write(tmp_path / "b.npy", Image(torch.rand(2, 12, 16), metadata={"bits": 32}))
    with pytest.raises(DataError) as caught:
        _read(tmp_path / "a.npy", tmp_path / "b.npy", formats)
    assert str(caught.value) == (
        f"{tmp_path / 'b.npy'}: has 2 channels, but its input has 3; restore it again with "
        "--overwrite"
    )


def test_another_size(tmp_path: Path, formats: Formats) -> None:
    lr, sr = _frame(tmp_path / "a.fits"), _frame(tmp_path / "b.fits", 2)
    with pytest.raises(DataError) as caught:
        _read(lr, sr, formats, 2.5)
    assert str(caught.value) == (
        f"{sr}: has 16 x 12 pixels; expected 20 x 15, 2.5 times its input; restore it again with "
        "--overwrite"
    )


def test_a_frame_that_does_not_fit_into_memory(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits.writeto(tmp_path / "a.fits", np.zeros((600, 700), np.float32))
    monkeypatch.setattr(pairs, "free_memory", lambda: 2**20)
    monkeypatch.setattr(ImageFile, "read_pages", None)  # it is not read
    with pytest.raises(DataError) as caught:
        _read(tmp_path / "a.fits", tmp_path / "b.fits", formats)
    assert str(caught.value) == (
        f"{tmp_path / 'a.fits'}: reading it with its SR needs 0.0 GiB of memory, but only "
        "0.0 GiB are free; cut out a part, and check or compare that"
    )
