"""Bjontegaard deltas, compared with the package of that name and with known curves."""

from __future__ import annotations

import math

import bjontegaard
import numpy as np
import pytest

from srkit.studies.compression.bjontegaard import RateCurve, delta_quality, delta_rate

#: Bit rates and PSNR of two codecs.
ANCHOR = ([686.76, 309.58, 157.11, 85.95], [40.28, 37.18, 34.24, 31.42])
TEST = ([893.34, 407.8, 204.93, 112.75], [40.39, 37.21, 34.17, 31.24])


@pytest.mark.parametrize(("first", "second"), [(ANCHOR, TEST), (TEST, ANCHOR)])
def test_deltas_equal_those_of_the_package(first: RateCurve, second: RateCurve) -> None:
    given = *first, *second
    rate = bjontegaard.bd_rate(*given, method="akima", min_overlap=0)
    quality = bjontegaard.bd_psnr(*given, method="akima", min_overlap=0)
    assert delta_rate(first, second).value == pytest.approx(rate, rel=1e-9)
    assert delta_quality(first, second).value == pytest.approx(quality, rel=1e-9)


def test_curves_at_a_known_distance() -> None:
    twice = ([2 * rate for rate in ANCHOR[0]], ANCHOR[1])
    assert delta_rate(ANCHOR, twice).value == pytest.approx(100)
    assert delta_rate(twice, ANCHOR).value == pytest.approx(-50)
    more = (ANCHOR[0], [value + 1 for value in ANCHOR[1]])
    assert delta_quality(ANCHOR, more).value == pytest.approx(1)
    assert delta_quality(ANCHOR, more).overlap == pytest.approx(1)


def test_repeated_points_count_once() -> None:
    twice = ([*TEST[0], TEST[0][-1]], [*TEST[1], TEST[1][-1]])
    assert delta_rate(ANCHOR, twice) == delta_rate(ANCHOR, TEST)
    assert delta_quality(ANCHOR, twice) == delta_quality(ANCHOR, TEST)


def test_rate_of_metrics_that_decrease() -> None:
    """A metric of which lower is better, such as cross-entropy, has the same BD-rate."""
    falling = [(rates, [-value for value in values]) for rates, values in (ANCHOR, TEST)]
    expected = delta_rate(ANCHOR, TEST).value
    assert delta_rate(*falling).value == pytest.approx(expected, rel=1e-9)


def test_overlap_is_a_share_of_the_total_range() -> None:
    first = ([1.0, 10.0, 100.0], [1.0, 2.0, 3.0])
    second = ([10.0, 100.0, 1000.0], [2.0, 3.0, 4.0])
    found = delta_quality(first, second)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.overlap == pytest.approx(1 / 3)


NOT_MONOTONIC = "the values are not monotonic"
INFINITE = "a value is not finite"


@pytest.mark.parametrize(
    ("rates", "values", "quality", "rate"),
    [
        ([1.0, 2.0, 4.0], [30.0, 31.0, 32.0], "the curves do not overlap", ""),
        ([90.0, 90.0, 300.0, 300.0], [32.0, 32.0, 33.0, 33.0],
         "a curve has fewer than 3 distinct points", "a curve has fewer than 3 distinct points"),
        ([90.0, 200.0, 300.0], [32.0, 31.0, 33.0], "", NOT_MONOTONIC),
        ([90.0, 200.0, 300.0], [32.0, 33.0, np.inf], INFINITE, INFINITE),
        ([90.0, 200.0, 300.0], [60.0, 61.0, 62.0], "", "the curves do not overlap"),
    ],
)  # fmt: skip
def test_reasons_for_undefined_deltas(
    rates: list[float], values: list[float], quality: str, rate: str
) -> None:
    curve = rates, values
    for found, reason in (
        (delta_quality(ANCHOR, curve), quality),
        (delta_rate(ANCHOR, curve), rate),
    ):
        assert found.reason == reason
        assert math.isnan(found.value) == bool(reason)
        assert reason == "" or found.overlap == 0
