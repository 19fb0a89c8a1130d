from __future__ import annotations

import numpy as np
import pytest
import torch

from srkit.interfaces import Batch
from srkit.report._pictures import is_photograph, to_picture, to_row


def batch_of(channels: int, data_range: tuple[float, float] = (0.0, 1.0), unit: str = "") -> Batch:
    hr = torch.linspace(-1, 3, channels * 4).view(1, channels, 2, 2)
    return Batch(["a"], hr, [0], data_range=data_range, unit=unit, pixel_scale=0.1)


@pytest.mark.parametrize(
    ("channels", "data_range", "unit", "expected"),
    [
        (3, (0.0, 1.0), "", True),
        (3, (0.0, 40.0), "nJy", True),
        (1, (0.0, 1.0), "", True),
        (1, (0.0, 1.0), "nJy", False),
        (1, (-2.0, 9.0), "", False),
        (5, (0.0, 1.0), "", False),
    ],
)
def test_one_channel_with_a_unit_or_a_range_is_measured(
    channels: int, data_range: tuple[float, float], unit: str, expected: bool
) -> None:
    assert is_photograph(batch_of(channels, data_range, unit)) is expected


def test_a_picture_spans_the_data_range() -> None:
    batch = Batch(["a"], torch.zeros(1, 1, 1, 3), [0], data_range=(-2.0, 6.0))
    found = to_picture(torch.tensor([[[[-2.0, 2.0, 9.0]]]]), batch)
    np.testing.assert_array_equal(found[0, :, 0], [0.0, 0.5, 1.0])


def test_measured_values_are_not_changed() -> None:
    batch = batch_of(5, (0.0, 9.0), "nJy")
    share = torch.full((1, 1, 2, 2), 0.5)
    row = to_row({"original": batch.hr}, batch, None, {"artefacts": {"gan": share}})
    assert (row.measured, row.unit, row.pixel_scale) == (True, "nJy", 0.1)
    np.testing.assert_array_equal(row.images["original"], batch.hr[0, :1].permute(1, 2, 0))
    np.testing.assert_array_equal(row.maps["artefacts"]["gan"], np.full((2, 2, 1), 0.5))


def test_a_photograph_is_clipped_to_0_to_1() -> None:
    batch = batch_of(3)
    row = to_row({"original": batch.hr}, batch, None, {})
    assert (row.measured, row.unit, row.maps) == (False, "", {})
    expected = batch.hr[0].clamp(0, 1).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(row.images["original"], expected)
