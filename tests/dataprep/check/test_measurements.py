"""Measurements of one image or pair."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from skimage import data
from torch import Tensor

from srkit.dataprep.check.measurements import measure, perceptual_hash
from srkit.functional.resizing import resize
from srkit.interfaces import VOID, Boxes, Sample


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """A photograph, ``(3, 256, 256)`` in [0, 1]."""
    return torch.from_numpy(data.astronaut()[100:356, 80:336].copy()).movedim(-1, 0) / 255


def bits_apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_the_hash_consists_of_the_lowest_frequencies(photo: Tensor) -> None:
    found, grey = perceptual_hash(photo)
    waves = np.cos(np.pi * np.arange(1, 9)[:, None] * (np.arange(32) + 0.5) / 32)
    frequencies = (waves @ grey.astype(float) @ waves.T).ravel()
    bits = "".join("1" if above else "0" for above in frequencies > np.median(frequencies))
    assert found == int(bits, 2)
    assert grey.mean() == pytest.approx(0, abs=1e-6)
    assert grey.std() == pytest.approx(1, abs=1e-6)


def test_size_and_compression_hardly_change_the_hash(photo: Tensor) -> None:
    levels = (photo * 255).byte().movedim(0, -1).numpy()
    packed = io.BytesIO()
    Pictures.fromarray(levels).resize((170, 170)).save(packed, "jpeg", quality=50)
    again = torch.from_numpy(np.asarray(Pictures.open(packed)).copy()).movedim(-1, 0) / 255
    assert bits_apart(perceptual_hash(photo)[0], perceptual_hash(again)[0]) <= 3
    mirrored = perceptual_hash(photo.flip(-1))[0]
    assert bits_apart(perceptual_hash(photo)[0], mirrored) > 10


def test_a_pair(photo: Tensor) -> None:
    lr = resize(photo[None], factor=0.5)[0]
    found = measure(Sample("a", photo, lr, label=3))
    assert (found.size, found.lr_size, found.channels) == ((256, 256), (128, 128), 3)
    assert (found.label, found.not_finite, found.flat) == (3, 0, False)
    assert (found.low, found.high) == (float(photo.min()), float(photo.max()))
    assert found.mean == pytest.approx(float(photo.mean()))
    assert found.shift is not None
    assert (found.shift.down, found.shift.right) == pytest.approx((0, 0), abs=0.02)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.full((1, 4, 4), 2.0), {"flat": True, "low": 2.0, "hash": None, "not_finite": 0}),
        (torch.full((1, 4, 4), torch.nan), {"flat": True, "low": None, "not_finite": 16}),
        (torch.tensor([[[1.0, torch.inf, 3.0]]]), {"flat": False, "high": 3.0, "not_finite": 1}),
        (torch.arange(1.0).view(1, 1, 1), {"flat": True, "size": (1, 1)}),
    ],
)
def test_odd_images(image: Tensor, expected: dict[str, Any]) -> None:
    found = measure(Sample("odd", image))
    assert {key: getattr(found, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("channels", "kind", "unit", "hashed"),
    [(3, "", "", True), (1, "8 bits", "", True), (1, "", "", False), (3, "", "count / s", False)],
)
def test_only_photographs_are_hashed(
    photo: Tensor, channels: int, kind: str, unit: str, hashed: bool
) -> None:
    found = measure(Sample("a", photo[:channels], unit=unit), kind)
    assert (found.hash is not None) is hashed


def test_the_classes_of_masks_and_boxes(photo: Tensor) -> None:
    plain = measure(Sample("a", photo))
    assert (plain.classes, plain.boxed, plain.unknown) == (None, False, 0.0)
    mask = torch.zeros(256, 256, dtype=torch.long)
    mask[:64], mask[64:128] = 7, VOID
    masked = measure(Sample("a", photo, mask=mask))
    assert (masked.classes, masked.boxed, masked.unknown) == ((0, 7), False, 0.25)
    boxes = Boxes(torch.rand(3, 4), torch.tensor([3, 1, 3]))
    boxed = measure(Sample("a", photo, boxes=boxes))
    assert (boxed.classes, boxed.boxed) == ((1, 3), True)
