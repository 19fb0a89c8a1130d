from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure

from srkit.report.colour_scales import (
    brightness_scale,
    difference_scale,
    draw_scale_bar,
    extension,
    round_ticks,
)


def test_brightness_is_linear_at_the_noise_and_clips_nothing() -> None:
    rng = np.random.default_rng(0)
    lr = rng.normal(0, 0.1, (64, 64)).astype(np.float32)
    hr = np.zeros((128, 128), np.float32)
    hr[64, 64] = 100
    norm = brightness_scale(lr, hr)
    assert isinstance(norm, AsinhNorm)
    assert (norm.vmin, norm.vmax) == (lr.min(), 100)
    assert norm.linear_width == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize(("value", "limits"), [(0.0, (-0.5, 0.5)), (7.0, (6.5, 7.5))])
def test_a_flat_pair_has_a_scale_too(value: float, limits: tuple[float, float]) -> None:
    norm = brightness_scale(np.full((4, 4), value, np.float32), np.full((8, 8), value, np.float32))
    assert (norm.vmin, norm.vmax) == limits


def test_values_that_are_not_finite_do_not_set_the_scale() -> None:
    norm = brightness_scale(np.array([0.0, 1.0, np.nan]), np.array([2.0, np.inf, np.nan]))
    assert (norm.vmin, norm.vmax) == (0, 2)


def test_the_scale_of_differences_is_symmetric() -> None:
    brightness = AsinhNorm(linear_width=0.3, vmin=-1, vmax=50)
    norm = difference_scale(brightness, np.array([-3.0, 1.0]), np.array([2.0, np.nan]))
    assert isinstance(norm, AsinhNorm)
    assert (norm.vmin, norm.vmax, norm.linear_width) == (-3, 3, 0.3)
    none = difference_scale(Normalize(0, 1), np.zeros(3))
    assert (none.vmin, none.vmax) == (-0.5, 0.5)


@pytest.mark.parametrize(
    ("norm", "ticks"),
    [
        (AsinhNorm(linear_width=0.2, vmin=-0.6, vmax=120), [-0.5, 0, 1, 10, 100]),
        (AsinhNorm(linear_width=0.2, vmin=-30, vmax=30), [-10, -1, 0, 1, 10]),
        (Normalize(0, 1), [0, 0.2, 0.5, 1]),
        (Normalize(6.5, 7.5), [6.6, 6.8, 7, 7.2, 7.4]),
    ],
)
def test_ticks_are_round_and_do_not_overlap(norm: Normalize, ticks: list[float]) -> None:
    assert round_ticks(norm) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 1.0], "neither"), ([-1.0, 1.0], "min"), ([0.5, 2.0], "max"), ([-1.0, 2.0], "both")],
)
def test_a_scale_is_extended_where_values_exceed_it(values: list[float], expected: str) -> None:
    assert extension(Normalize(0, 1), [np.array([0.5]), np.array([*values, np.nan])]) == expected


@pytest.mark.parametrize(
    ("width", "pixel_scale", "text", "share"),
    [(128, 0.084, "2″", 2 / (128 * 0.084)), (100, 0.05, "1″", 0.2), (40, 0.01, "0.1″", 0.25)],
)
def test_the_length_of_a_scale_bar_is_that_of_its_label(
    width: int, pixel_scale: float, text: str, share: float
) -> None:
    axis = Figure().add_subplot()
    draw_scale_bar(axis, width, pixel_scale)
    assert [each.get_text() for each in axis.texts] == [text]
    start, end = axis.lines[0].get_xdata()
    assert end - start == pytest.approx(share)
