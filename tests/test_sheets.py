from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import AsinhNorm

from srkit.interfaces import Sample
from srkit.plotting import png
from srkit.sheets import pair_sheet, stretch


def pair(channels: int, unit: str = "") -> Sample:
    hr = torch.rand(channels, 12, 16, generator=torch.Generator().manual_seed(channels))
    lr = torch.nn.functional.avg_pool2d(hr, 2)
    return Sample("night/one", hr, lr, unit=unit)


def test_a_stretch_is_linear_at_the_noise_and_clips_nothing() -> None:
    rng = np.random.default_rng(0)
    lr = rng.normal(0, 0.1, (64, 64)).astype(np.float32)
    hr = np.zeros((128, 128), np.float32)
    hr[64, 64] = 100
    norm = stretch(lr, hr)
    assert isinstance(norm, AsinhNorm)
    assert (norm.vmin, norm.vmax) == (lr.min(), 100)
    assert norm.linear_width == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize(("value", "limits"), [(0.0, (-0.5, 0.5)), (7.0, (6.5, 7.5))])
def test_a_flat_pair_has_a_scale_too(value: float, limits: tuple[float, float]) -> None:
    norm = stretch(np.full((4, 4), value, np.float32), np.full((8, 8), value, np.float32))
    assert (norm.vmin, norm.vmax) == limits


def test_values_that_are_no_numbers_do_not_set_the_scale() -> None:
    norm = stretch(np.array([0.0, 1.0, np.nan]), np.array([2.0, np.inf, np.nan]))
    assert (norm.vmin, norm.vmax) == (0, 2)


def test_one_channel_has_a_colour_bar_with_its_unit() -> None:
    figure = pair_sheet([pair(1, "count / s")] * 4)
    parts = figure.subfigs
    assert len(parts) == 6  # two rows of three, the last of them with one pair
    lr, hr, bar = parts[0].axes
    assert (lr.get_title(), hr.get_title()) == ("LR 8×6", "HR 16×12")
    assert lr.images[0].norm is hr.images[0].norm
    np.testing.assert_array_equal(hr.images[0].get_array(), pair(1).hr[0].numpy())
    assert bar.get_ylabel() == "count / s"
    places = np.diff(lr.images[0].norm(bar.get_yticks()))
    np.testing.assert_allclose(places, 0.2)  # labels at even distances
    assert png(figure).startswith(b"\x89PNG")


def test_three_channels_are_a_photograph() -> None:
    (part,) = pair_sheet([pair(3)]).subfigs
    assert len(part.axes) == 2
    assert part.axes[1].images[0].get_array().shape == (12, 16, 3)
