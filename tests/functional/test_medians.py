"""Medians of matrices in parts, compared with torch."""

from __future__ import annotations

import pytest
import torch

from srkit.functional import medians as module
from srkit.functional.medians import row_medians


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 10_001])
def test_equal_to_the_median_of_the_whole(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 100)
    generator = torch.Generator().manual_seed(count)
    rows = torch.randn(4, count, generator=generator) * torch.tensor(
        [[1e-30], [1.0], [1e6], [3e38]]
    )
    rows[3] = rows[3].clamp(-3e38, 3e38)
    found = row_medians(lambda: rows.split(777, 1))
    torch.testing.assert_close(found, rows.median(1).values, rtol=0, atol=0)


def test_values_that_are_not_finite_are_ignored() -> None:
    rows = torch.tensor(
        [[3.0, torch.nan, 1.0, torch.inf], [torch.nan] * 4, [-1.0, -2.0, -3.0, 5.0]]
    )
    assert row_medians(lambda: iter([rows])).tolist() == [1.0, 0.0, -2.0]


def test_many_equal_values() -> None:
    rows = torch.cat([torch.zeros(1, 600), torch.ones(1, 500)], 1)
    assert row_medians(lambda: rows.split(100, 1)).tolist() == [0.0]
