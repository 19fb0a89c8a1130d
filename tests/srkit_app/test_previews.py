from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from astropy.visualization import AsinhStretch, ImageNormalize, ZScaleInterval
from srkit_app import previews as module
from srkit_app.previews import previews


def _pictures(tmp_path: Path) -> tuple[Path, Path]:
    lr = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    sr = lr.repeat(4, axis=0).repeat(4, axis=1)
    for name, values in (("lr", lr), ("sr", sr)):
        PIL.Image.fromarray(values).save(tmp_path / f"{name}.png")
    return tmp_path / "lr.png", tmp_path / "sr.png"


@pytest.mark.parametrize(("side", "size"), [(1024, (200, 120)), (64, (64, 64))])
def test_both_pictures_show_the_same_part(
    side: int, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SR repeats the pixels of LR, so that both have to be equal."""
    monkeypatch.setattr(module, "SIDE", side)
    pair = previews(*_pictures(tmp_path))
    assert pair is not None
    assert pair[0].size == pair[1].size == size
    assert np.array_equal(*(np.asarray(picture) for picture in pair))


def test_a_frame_is_shown_by_zscale_and_asinh_with_its_first_row_at_the_bottom(
    tmp_path: Path,
) -> None:
    values = np.random.default_rng(1).normal(100, 3, (40, 40)).astype(np.float32)
    values[3, 30] = 1e6
    values[20, 20] = np.nan
    path = tmp_path / "frame.fits"
    fits.writeto(path, values)
    pair = previews(path, path)
    assert pair is not None
    norm = ImageNormalize(values, interval=ZScaleInterval(), stretch=AsinhStretch(), clip=True)
    expected = np.nan_to_num(norm(values).filled(0), nan=0)[::-1]
    assert np.abs(np.asarray(pair[1])[..., 0] / 255 - expected).max() < 0.003
    assert np.asarray(pair[1])[40 - 1 - 3, 30].tolist() == [255, 255, 255]


def test_a_frame_without_values_is_black(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "frame.fits", np.full((5, 5), np.nan, np.float32))
    pair = previews(tmp_path / "frame.fits", tmp_path / "frame.fits")
    assert pair is not None
    assert np.asarray(pair[0]).max() == 0


def test_a_large_file_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    assert previews(*_pictures(tmp_path)) is None
