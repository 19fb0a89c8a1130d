"""What another format cannot keep."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from srkit.errors import DataError
from srkit.images.fidelity import check_size, what_is_lost
from srkit.interfaces import FormatLimits, Image


def _lost(metadata: dict[str, Any], limits: FormatLimits | None = None) -> str | None:
    image = Image(torch.zeros(1, 2, 2), (-1.5, 30.0), metadata)
    stated = {} if limits is None else {"limits": limits}
    return what_is_lost(image, SimpleNamespace(**stated), ".x")  # type: ignore[arg-type]


def test_depth_and_parts() -> None:
    alpha = torch.ones(1, 2, 2)
    assert _lost({"bits": 8, "alpha": alpha}, FormatLimits((8,), frozenset({"alpha"}))) is None
    assert _lost({"bits": 16, "alpha": alpha}, FormatLimits((8,))) == (
        "a .x file holds no more: 16 bits rounded to 8; what is not opaque is on white"
    )
    assert _lost({"bits": 32, "header": 0, "mask": 0}, FormatLimits((8, 16))) == (
        "a .x file holds no more: floats clipped to -1.5 (black) and 30 (white), rounded to 16 "
        "bits; header with its WCS, mask left out"
    )
    assert _lost({"bits": 32, "icc": b""}, FormatLimits((8, 16, 32), frozenset({"icc"}))) is None


def test_a_format_without_stated_limits() -> None:
    assert _lost({"bits": 32, "header": 0}) is None


def test_a_side_that_is_too_long() -> None:
    webp = SimpleNamespace(limits=FormatLimits((8,), max_side=16383))
    check_size(16383, 2, webp, ".webp")  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        check_size(4, 20000, webp, ".webp")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "would become 20000 x 4 pixels, and a .webp file holds 16383 a side; choose .png or .tif, "
        "or a smaller scale"
    )
