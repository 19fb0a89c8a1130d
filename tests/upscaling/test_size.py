"""Sizes of SR."""

from __future__ import annotations

from typing import Any

import pytest

from srkit.functional.resizing import resized_side
from srkit.upscaling.size import Size


@pytest.mark.parametrize("side", [1, 7, 333, 4096])
@pytest.mark.parametrize("wanted", [1, 50, 1920])
def test_the_requested_side_is_exact(side: int, wanted: int) -> None:
    across, down = Size(width=wanted).scale_of(9, side), Size(height=wanted).scale_of(side, 9)
    assert across is not None
    assert across == down
    assert resized_side(side, across) == wanted


def test_megapixels() -> None:
    scale = Size(megapixels=2).scale_of(300, 400)
    assert scale is not None
    assert resized_side(300, scale) * resized_side(400, scale) == pytest.approx(2e6, rel=2e-3)


def test_labels() -> None:
    sizes = [Size(), Size(3.5), Size(width=50), Size(height=20), Size(megapixels=1.5)]
    assert [size.label(4) for size in sizes] == ["x4", "x3.5", "w50", "h20", "1.5mp"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": 2, "width": 5}, "got scale and width; give only one of them"),
        ({"scale": 0.0}, "the scale must be positive, got 0"),
        ({"megapixels": -1.0}, "the megapixels must be positive, got -1"),
        ({"scale": float("inf")}, "the scale must be positive, got inf"),
        ({"scale": "3"}, "the scale must be a number, got '3'"),
        ({"scale": True}, "the scale must be a number, got True"),
        ({"width": 3.5}, "the width must be a whole number of pixels, got 3.5"),
    ],
)
def test_invalid_sizes(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Size(**given)
