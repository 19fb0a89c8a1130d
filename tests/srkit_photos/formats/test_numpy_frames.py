"""Arrays restored in windows, compared with the whole array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from frames_setup import by_windows
from srkit_photos.formats.numpy_files import Npy
from upscale_setup import upscale_file

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.models.open import open_model
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.mark.parametrize("shape", [(61, 83), (61, 83, 3), (61, 83, 4), (3, 61, 83), (5, 61, 83)])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "<f4", ">f8", "i2"])
def test_windows_equal_the_whole_image(
    tmp_path: Path, formats: Formats, shape: tuple[int, ...], dtype: str
) -> None:
    source = tmp_path / "a.npy"
    values = np.random.default_rng(0).random(shape) * (250 if dtype[-1] != "2" else 20_000)
    np.save(source, values.astype(dtype))
    upscaler = ImageUpscaler(open_model("bicubic", Registry.discover(), scale=2), tile=24)
    notes = upscale_file(source, tmp_path / "whole.npy", upscaler, formats)
    with by_windows():
        assert upscale_file(source, tmp_path / "parts.npy", upscaler, formats) == notes
    whole, parts = (np.load(tmp_path / f"{name}.npy") for name in ("whole", "parts"))
    assert (whole.dtype, whole.shape) == (parts.dtype, parts.shape)
    # Values between two levels can be rounded either way.
    allowed = 1 if whole.dtype.kind == "u" else 1e-5 * values.max()
    np.testing.assert_allclose(whole.astype(float), parts.astype(float), rtol=0, atol=allowed)
    assert np.mean(whole == parts) > 0.5 if whole.dtype.kind == "u" else True


def test_files_that_are_read_as_a_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(np.zeros((5, 6))))
    assert Npy().open_source(path) is None
    path.write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        Npy().open_source(path)
    assert str(caught.value).startswith(f"{path}: cannot be decoded (ValueError: ")
    np.save(path, np.zeros((2, 3, 4, 5)))
    with pytest.raises(DataError) as caught:
        Npy().open_source(path)
    assert str(caught.value) == (
        f"{path}: an array of shape (2, 3, 4, 5); expected an image, (H, W), (H, W, C) or (C, H, W)"
    )


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((50, 60), np.float32))
    path.write_bytes(path.read_bytes()[:-1000])
    source = Npy().open_source(path)
    assert source is not None
    assert source.rows(0, 40).pixels.shape == (1, 40, 60)
    with pytest.raises(DataError) as caught:
        source.rows(40, 50)
    source.close()
    assert str(caught.value) == (
        f"{path}: cannot be decoded (EOFError: the file ends before its pixels); it may be damaged "
        "or incomplete: copy it again, or remove it"
    )
