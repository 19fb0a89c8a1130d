"""What files of another format cannot hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from srkit.errors import DataError
from srkit.images._fidelity import check_size, what_is_lost
from srkit.images.formats import ImageFile
from srkit.interfaces import FormatLimits, Image


def _file(limits: FormatLimits | None) -> ImageFile:
    image_format: Any = SimpleNamespace(**({} if limits is None else {"limits": limits}))
    return ImageFile(Path("a.x"), image_format, ".x")


def _lost(metadata: dict[str, Any], limits: FormatLimits | None = None) -> str | None:
    return what_is_lost(Image(torch.zeros(1, 2, 2), (-1.5, 30.0), metadata), _file(limits))


def test_depth_and_metadata() -> None:
    alpha = torch.ones(1, 2, 2)
    assert _lost({"bits": 8, "alpha": alpha}, FormatLimits((8,), frozenset({"alpha"}))) is None
    assert _lost({"bits": 16, "alpha": alpha}, FormatLimits((8,))) == (
        "a .x file cannot hold everything: 16 bits rounded to 8; transparency blended with white"
    )
    assert _lost({"bits": 32, "header": 0, "mask": 0}, FormatLimits((8, 16))) == (
        "a .x file cannot hold everything: floats clipped to -1.5 (black) and 30 (white), rounded "
        "to 16 bits; header with its WCS, mask dropped"
    )
    assert _lost({"bits": 32, "icc": b""}, FormatLimits((8, 16, 32), frozenset({"icc"}))) is None


def test_a_format_without_stated_limits() -> None:
    assert _lost({"bits": 32, "header": 0}) is None


def test_a_side_that_is_too_long() -> None:
    file = _file(FormatLimits((8,), max_side=16383))
    check_size(16383, 2, file)
    with pytest.raises(DataError) as caught:
        check_size(4, 20000, file)
    assert str(caught.value) == (
        "SR would have 20000 x 4 pixels, but a .x file holds at most 16383 per side; write .png or "
        ".tif, or choose a smaller scale"
    )
