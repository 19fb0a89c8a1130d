"""NumPy arrays as image files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from upscale_setup import upscale_file

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.models.open import fresh_model, open_model
from srkit.upscaling.upscaler import ImageUpscaler

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 3), (3, 6, 9), (6, 9, 1), (1, 6, 9), (5, 6, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, ">f4"])
def test_layout_and_depth_are_kept(
    tmp_path: Path, formats: Formats, suffix: str, shape: tuple[int, ...], dtype: type
) -> None:
    values = (RNG.normal(size=shape) * 50 + 100).clip(0, 200).astype(dtype)
    if values.dtype.kind == "f":
        values.flat[3] = np.nan
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    np.save(source, values) if suffix == "npy" else np.savez(source, values)
    upscaler = ImageUpscaler(open_model("nearest", Registry.discover(), scale=2))
    upscale_file(source, target, upscaler, formats)
    found = np.load(target) if suffix == "npy" else np.load(target)["image"]
    axes = [axis for axis, side in enumerate(shape) if side in (6, 9)]
    expected = values.repeat(2, axes[0]).repeat(2, axes[1])
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_spread_is_written_to_the_archive(tmp_path: Path, formats: Formats) -> None:
    np.savez(tmp_path / "a.npz", values=RNG.normal(size=(6, 9)))
    options = ["blocks=1", "features=4"]
    model = fresh_model("edsr", Registry.discover(), options, scale=2, channels=1)
    upscaler = ImageUpscaler(model, uncertainty=True)
    source, target = tmp_path / "a.npz", tmp_path / "b.npz"
    spread = (
        "SR is the mean over eight flips and rotations; their standard deviation is the spread of "
        "SR, which is not an error: the network predicts none"
    )
    notes = upscale_file(source, target, upscaler, formats)
    assert notes == ["float64 values become float32", spread]
    archive = np.load(target)
    assert "variance" not in archive
    assert archive["spread"].shape == (12, 18)
    source, target = tmp_path / "b.npz", tmp_path / "c.npy"
    assert upscale_file(source, target, upscaler, formats) == [
        spread,
        "a .npy file cannot hold everything: spread dropped",
    ]
    assert np.load(target).shape == (24, 36)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float32(3), "an array of shape (); expected an image, (H, W), (H, W, C) or"),
        (np.zeros((0, 4)), "an array of shape (0, 4); expected an image"),
        (np.zeros((2, 3, 4, 5)), "an array of shape (2, 3, 4, 5); expected an image"),
        (np.zeros((9, 9, 9)), "an array of shape (9, 9, 9): the axis of the channels is ambiguous"),
        (np.zeros((4, 4), complex), "its values are complex128; expected integers or floats"),
        (np.array([["a"]]), "its values are <U1; expected integers or floats"),
        (np.full((4, 4), 1e300), "its values do not fit in float32; scale them to another unit"),
    ],
)
def test_arrays_that_are_not_images(
    tmp_path: Path, formats: Formats, suffix: str, array: np.ndarray, message: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    np.save(path, array) if suffix == "npy" else np.savez(path, array)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {message}')}"):
        formats.read(path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_objects_are_never_loaded(tmp_path: Path, formats: Formats, suffix: str) -> None:
    path, objects = tmp_path / f"a.{suffix}", np.array([{}])
    np.save(path, objects, True) if suffix == "npy" else np.savez(path, objects)
    with pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: contains Python objects, which are not loaded; expected an array of numbers"
    )


def test_one_of_several_arrays(tmp_path: Path, formats: Formats) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, left=np.zeros((3, 3)), right=np.zeros((3, 3)))
    with pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: contains the arrays left, right; expected one array, or one named 'image'"
    )
    np.savez(path, **{f"a{number:02}": np.zeros((3, 3)) for number in range(12)})
    with pytest.raises(DataError, match=r"a06, a07 and 4 more; expected one array"):
        formats.read(path)
