"""Compression at a quality, and to a size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from srkit_photos.formats.pillow_formats import Avif, Jpeg, WebP

from srkit.interfaces import Batch, LossyFormat
from srkit.studies.compression.codecs import Codec, best_quality


@pytest.mark.parametrize(
    ("sizes", "budget", "expected"),
    [
        (lambda q: 10 * q, 555, (55, True)),
        (lambda q: 10 * q, 5000, (100, True)),
        (lambda q: 10 * q, 10, (1, True)),
        (lambda q: 10 * q, 9, (1, False)),
    ],
)
def test_bisection(sizes: Any, budget: int, expected: tuple[int, bool]) -> None:
    asked: list[int] = []

    def size_at(quality: int) -> int:
        asked.append(quality)
        return int(sizes(quality))

    assert best_quality(size_at, budget) == expected
    assert len(asked) <= 9
    assert expected[0] in asked


@pytest.mark.parametrize("form", [Jpeg, WebP, Avif])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_formats(form: Any, channels: int) -> None:
    if form is Avif:
        pytest.importorskip("PIL._avif")
    built = form()
    assert isinstance(built, LossyFormat)
    y, x = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 52), indexing="ij")
    smooth = torch.stack([x, y, (x + y) / 2])[:channels]
    codec = Codec("it", built)
    batch = Batch(["a"], smooth[None], [0], lr=smooth[None])
    for quality in (20, 95):
        decoded = codec.compress_lr(batch, quality).lr
        assert decoded is not None
        assert decoded.shape == smooth[None].shape
        assert (decoded[0] - smooth).abs().mean() < 0.03
    assert codec.files["LR", 20, "a"] < codec.files["LR", 95, "a"]
    # LR of the same image at another scale is compressed again.
    half = smooth[None, :, ::2, ::2]
    smaller = codec.compress_lr(Batch(["a"], smooth[None], [0], lr=half), 95).lr
    assert smaller is not None and smaller.shape == half.shape
