"""Arrays as images and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srkit.errors import DataError
from srkit.images.arrays import array_of_image, channel_axis, image_of_array
from srkit.interfaces import Image


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((5, 7), None),
        ((5, 7, 3), -1),
        ((3, 5, 7), 0),
        ((31, 64, 64), 0),
        ((64, 64, 31), -1),
        ((1, 1, 3), -1),
        ((1, 1, 1), -1),
        ((3, 3, 3), -1),
        ((4, 2, 100), 0),
    ],
)
def test_where_the_channels_are(shape: tuple[int, ...], axis: int | None) -> None:
    assert channel_axis(shape) == axis


def test_a_stack_is_no_image() -> None:
    with pytest.raises(DataError) as caught:
        channel_axis((1000, 64, 64))
    assert str(caught.value) == (
        "an array of the shape (1000, 64, 64): cannot tell its channels; expected the first or "
        "the last axis to be the shortest: give images one by one"
    )


def test_four_channels_of_bytes_have_opacity() -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    image = image_of_array(values)
    assert (image.pixels.shape, image.metadata["alpha"].shape) == ((3, 5, 6), (1, 5, 6))
    np.testing.assert_array_equal(array_of_image(image), values)
    assert image_of_array(values.astype(np.float32)).pixels.shape == (4, 5, 6)


def test_truth_values_are_black_and_white() -> None:
    image = image_of_array(np.eye(3, dtype=bool))
    assert torch.equal(image.pixels[0], torch.eye(3))
    assert image.metadata["bits"] == 8


def test_integers_hold_no_nan() -> None:
    with pytest.raises(DataError, match=r"not finite; integers cannot: write \.tif, "):
        array_of_image(Image(torch.full((1, 2, 2), torch.nan), metadata={"bits": 8}))


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<u2", ">f4", "<f4"])
def test_the_order_of_bytes_does_not_matter(dtype: str) -> None:
    array = np.arange(20).reshape(4, 5).astype(dtype)
    image = image_of_array(array)
    native = image_of_array(array.astype(array.dtype.newbyteorder("=")))
    assert torch.equal(image.pixels, native.pixels)
    assert image.metadata == native.metadata
    assert "notes" not in image.metadata
