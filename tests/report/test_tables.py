"""Numbers as tables show them."""

from __future__ import annotations

import math

import pytest
from evaluation_setup import ACCURACY, CROSS_ENTROPY, PSNR

from srkit.report._metric_info import MetricInfo
from srkit.report._tables import format_value


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (PSNR, 26.7449, "26.74"),
        (PSNR, math.inf, "∞"),
        (ACCURACY, 0.82, "0.8200"),
        (CROSS_ENTROPY, -0.25, "-0.2500"),
        (CROSS_ENTROPY, 0.000123, "1.23e-04"),
        (CROSS_ENTROPY, 0.0, "0.0000"),
        (CROSS_ENTROPY, math.nan, "–"),
    ],
)
def test_numbers_are_rounded_by_metric(metric: MetricInfo, value: float, text: str) -> None:
    assert format_value(metric, value) == text
