"""Arrays become images, and images arrays."""

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
def test_axis_of_the_channels(shape: tuple[int, ...], axis: int | None) -> None:
    assert channel_axis(shape) == axis


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4"])
@pytest.mark.parametrize("sentinel", [-3.4028234663852886e38, -3.4e38, 1e20, 9.96921e36])
def test_sentinels_are_no_values(dtype: str, sentinel: float) -> None:
    values = np.ones((4, 5), dtype)
    values[1, 2] = sentinel
    image = image_of_array(values)
    holes = image.pixels.isnan()
    assert int(holes.sum()) == 1 and bool(holes[0, 1, 2])
    assert image.data_range == (0.0, 1.0)
    assert image.metadata["notes"][-1] == (
        f"pixels of {values[1, 2]:.6g} are taken to have no value, though no tag says so"
    )
    assert values[1, 2] == np.dtype(dtype).type(sentinel)  # the caller's array is unchanged


@pytest.mark.parametrize("large", [9.9e19, 1.001e20, 1e30, -3e38])
def test_large_values_are_kept(large: float) -> None:
    values = np.array([[large, 1.0]], np.float32)
    assert image_of_array(values).pixels.flatten().tolist() == [float(np.float32(large)), 1.0]


@pytest.mark.parametrize(("dtype", "largest"), [("f4", 3e-39), ("f8", 1e-300)])
def test_values_too_small_for_float32(dtype: str, largest: float) -> None:
    with pytest.raises(DataError) as caught:
        image_of_array(np.array([[largest, -largest, 0, np.nan]], dtype))
    assert str(caught.value) == (
        f"its values are too small for float32, at most {largest:.3g}; scale them to another unit"
    )
    tails = np.array([[1e-45, 1e-30]], dtype)  # such as those of a Gaussian
    assert image_of_array(tails).pixels[0, 0, 1] == np.float32(1e-30)


def test_a_stack_of_images_is_not_an_image() -> None:
    with pytest.raises(DataError) as caught:
        channel_axis((1000, 64, 64))
    assert str(caught.value) == (
        "an array of shape (1000, 64, 64): the axis of the channels is ambiguous; put the "
        "channels on the last or first axis, shorter than both others, or state the axes in "
        "Python, such as axes='NHW' for a stack of images"
    )


def test_the_fourth_channel_of_integers_is_opacity() -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    image = image_of_array(values)
    assert (image.pixels.shape, image.metadata["alpha"].shape) == ((3, 5, 6), (1, 5, 6))
    np.testing.assert_array_equal(array_of_image(image), values)
    assert image_of_array(values.astype(np.float32)).pixels.shape == (4, 5, 6)


def test_booleans_are_black_and_white() -> None:
    image = image_of_array(np.eye(3, dtype=bool))
    assert torch.equal(image.pixels[0], torch.eye(3))
    assert image.metadata["bits"] == 8


def test_integers_cannot_represent_nan() -> None:
    with pytest.raises(
        DataError, match=r"not finite, which integers cannot represent; write \.tif, "
    ):
        array_of_image(Image(torch.full((1, 2, 2), torch.nan), metadata={"bits": 8}))


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<u2", ">f4", "<f4"])
def test_the_order_of_bytes_does_not_matter(dtype: str) -> None:
    array = np.arange(20).reshape(4, 5).astype(dtype)
    image = image_of_array(array)
    native = image_of_array(array.astype(array.dtype.newbyteorder("=")))
    assert torch.equal(image.pixels, native.pixels)
    assert image.metadata == native.metadata
    assert "notes" not in image.metadata
