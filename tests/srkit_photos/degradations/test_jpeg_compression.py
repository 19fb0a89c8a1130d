"""JPEG compression compared with the libjpeg of Pillow."""

from __future__ import annotations

import io
import re

import numpy as np
import PIL.Image
import pytest
import torch
from skimage.data import astronaut
from srkit_photos.degradations.jpeg_compression import (
    CHROMINANCE,
    LUMINANCE,
    compress,
    quantisation,
    through_files,
)


def pillow(levels: np.ndarray, quality: int) -> tuple[np.ndarray, dict[int, list[int]]]:
    """Compress with Pillow; return the decoded pixels and the tables of the file."""
    file = io.BytesIO()
    PIL.Image.fromarray(levels).save(file, "JPEG", quality=quality)
    with PIL.Image.open(file) as picture:
        return np.asarray(picture).astype(int), picture.quantization  # type: ignore[attr-defined]


def ours(levels: np.ndarray, quality: int) -> np.ndarray:
    (found,) = compress([tensor(levels)], [quality])
    return (found * 255).round().movedim(0, -1).squeeze(-1).numpy().astype(int)


def tensor(levels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(levels.reshape(*levels.shape[:2], -1).copy()).movedim(-1, 0) / 255


def test_tables_equal_those_of_pillow_files() -> None:
    for quality in range(1, 101):
        tables = pillow(astronaut()[:16, :16], quality)[1]
        for number, table in ((0, LUMINANCE), (1, CHROMINANCE)):
            (scaled,) = quantisation(table, torch.tensor([float(quality)]))
            assert scaled.flatten().tolist() == tables[number], quality


@pytest.mark.parametrize("quality", [5, 30, 60, 75, 90, 95])
@pytest.mark.parametrize("size", [(256, 256), (97, 131), (50, 37), (33, 48), (18, 19)])
def test_jpeg_is_within_a_quarter_level_of_pillow(size: tuple[int, int], quality: int) -> None:
    picture = astronaut()[100 : 100 + size[0], 100 : 100 + size[1]]
    expected, found = pillow(picture, quality)[0], ours(picture, quality)
    difference = np.abs(found - expected)
    lost = np.abs(picture.astype(int) - expected).mean()
    assert difference.mean() < min(0.25, 0.1 * lost)
    assert (difference > 1).mean() < 0.04


@pytest.mark.parametrize("quality", [5, 60, 95])
@pytest.mark.parametrize("size", [(97, 131), (50, 37), (8, 8)])
def test_a_file_round_trip_equals_pillow(size: tuple[int, int], quality: int) -> None:
    for picture in (astronaut()[: size[0], : size[1]], astronaut()[: size[0], : size[1], 0]):
        (found,) = through_files([tensor(picture)], [quality])
        levels = (found * 255).round().movedim(0, -1).squeeze(-1).numpy()
        np.testing.assert_array_equal(levels, pillow(picture, quality)[0])


def test_a_flat_picture_equals_pillow_exactly() -> None:
    for level in range(0, 256, 7):
        picture = np.full((20, 24, 3), (level, 255 - level, 130), np.uint8)
        np.testing.assert_array_equal(ours(picture, 60), pillow(picture, 60)[0])


def test_grey_is_within_a_tenth_of_a_level_of_pillow() -> None:
    picture = astronaut()[:99, :77, 1]
    assert np.abs(ours(picture, 50) - pillow(picture, 50)[0]).mean() < 0.1


def test_batches_equal_single_images() -> None:
    pictures = [tensor(astronaut()[:h, :w]) for h, w in ((97, 131), (50, 37), (7, 5), (64, 64))]
    qualities = [30, 60, 90, 45]
    together = compress(pictures, qualities)
    for picture, quality, found in zip(pictures, qualities, together, strict=True):
        assert torch.equal(found, compress([picture], [quality])[0])


def test_values_beyond_black_and_white_are_clipped() -> None:
    picture = tensor(astronaut()[:32, :32])
    wide = torch.where(picture > 0.5, 1.7, -0.3)
    assert torch.equal(compress([wide], [70])[0], compress([wide.clamp(0, 1)], [70])[0])


def test_two_channels_are_refused() -> None:
    message = "a JPEG file has 1 or 3 channels; these images have 2"
    with pytest.raises(ValueError, match=re.escape(message)):
        compress([torch.rand(2, 8, 8)], [50])
