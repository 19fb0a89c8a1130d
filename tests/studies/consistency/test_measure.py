"""Regions where SR contradicts its input."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from srkit_astro.metrics.consistency import ReducedChiSquare
from torch import Tensor

from srkit.functional.resizing import resize
from srkit.interfaces import Batch, Image
from srkit.studies.consistency.forward_model import ForwardModel
from srkit.studies.consistency.measure import (
    LISTED,
    Check,
    check,
    find_regions,
    measured_noise,
    yardstick,
)

RNG = np.random.default_rng(3)
AREA = ForwardModel(lambda sr, size: resize(sr, size, kernel="area"), "averaged over LR pixels", "")
Frame = partial(Image, metadata={"bits": 32})


def _noise(*shape: int, sigma: float = 1.0) -> Tensor:
    return torch.from_numpy(RNG.normal(0, sigma, shape)).float()


def _check(lr: Image, sr: Tensor, **metadata: Any) -> Check:
    return check(lr, Image(sr, lr.data_range, metadata), AREA)


def _enlarged(lr: Tensor) -> Tensor:
    return lr.repeat_interleave(2, -2).repeat_interleave(2, -1)


def test_injected_differences_are_found() -> None:
    lr = _noise(1, 40, 60, sigma=2)
    sr = _enlarged(lr)
    sr[:, 20:24, 30:34] += 50  # 2 x 2 pixels of LR at (15, 10)
    sr[:, 60:62, 100:102] -= 80  # one at (50, 30)
    found = _check(Frame(lr, (-10, 10)), sr)
    first, second = found.regions
    assert (first.x, first.y, first.pixels, first.box) == (50, 30, 1, (50, 30, 51, 31))
    assert first.worst == pytest.approx(80 / 2, rel=0.1)
    assert second.box == (15, 10, 17, 12)
    assert (second.pixels, found.count) == (4, 2)
    assert second.worst == pytest.approx(-50 / 2, rel=0.1)
    assert found.share == pytest.approx(5 / 2400)
    assert found.rms == pytest.approx(((4 * 50**2 + 80**2) / 2400) ** 0.5)
    assert found.flux_change == pytest.approx(120 / float(lr.abs().sum()), rel=1e-4)


def test_sr_that_agrees_is_supported() -> None:
    lr = _noise(1, 20, 20)
    found = _check(Frame(lr, (-5, 5)), _enlarged(lr))
    assert (found.regions, found.count, found.share, found.worst) == ([], 0, 0.0, None)
    assert found.rms == pytest.approx(0, abs=1e-6)


def test_the_mean_square_is_the_reduced_chi_square() -> None:
    """As computed by the metric, an independent implementation."""
    lr, sr = _noise(2, 30, 30), _noise(2, 60, 60, sigma=3)
    variance = torch.rand(2, 30, 30, generator=torch.Generator().manual_seed(0)) + 0.5
    batch = Batch(["a"], sr[None], [0], lr=lr[None], variance=variance[None])
    expected = float(ReducedChiSquare(border=0)(sr[None], batch))
    image = Image(lr, (-5, 5), {"bits": 32, "variance": variance})
    assert _check(image, sr).relative_rms ** 2 == pytest.approx(expected, rel=1e-5)


def test_noise_is_measured_beneath_smooth_light() -> None:
    y, x = np.mgrid[:200, :200]
    light = 500 * gaussian_filter((np.hypot(x - 90, y - 80) < 40).astype(float), 6) + 3 * x
    pixels = torch.from_numpy(light + RNG.normal(0, 1.7, light.shape)).float()
    pixels[20:30, 20:30] = torch.nan
    both = torch.stack([pixels, 10 * pixels])
    assert measured_noise(both).flatten().tolist() == pytest.approx([1.7, 17], rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (1, 4, 4)])
def test_levels_if_there_is_no_noise(shape: tuple[int, int, int]) -> None:
    measure = yardstick(Frame(torch.zeros(shape), (0.0, 510.0)))
    assert (measure.unit, float(measure.values), measure.threshold) == ("levels", 2.0, 8.0)


def test_8_bit_images_are_measured_in_levels() -> None:
    measure = yardstick(Image(_noise(3, 9, 9), (0.0, 1.0), {"bits": 8}))
    assert (measure.unit, float(measure.values)) == ("levels", pytest.approx(1 / 255))


def test_pixels_without_a_value_are_ignored() -> None:
    lr = _noise(1, 12, 12) + 7
    lr[0, 3, 4] = torch.nan
    found = _check(Frame(lr, (0, 10)), _enlarged(lr))
    assert found.residual.isnan().nonzero().tolist() == [[0, 3, 4]]
    assert found.rms == pytest.approx(0, abs=1e-6)


def test_regions_of_any_band() -> None:
    relative = torch.zeros(3, 5, 6)
    relative[1, 2, 3], relative[2, 2, 3] = -9, 7
    regions, count, share = find_regions(relative, 5)
    assert (count, share) == (1, 1 / 30)
    assert (regions[0].x, regions[0].y, regions[0].worst) == (3, 2, -9)


def test_diagonal_neighbours_are_connected_and_the_list_is_limited() -> None:
    relative = torch.zeros(1, 60, 60)
    relative[0, 0, 0] = relative[0, 1, 1] = 6
    assert find_regions(relative, 5)[0][0].pixels == 2
    relative[0, 4::4, 4::4] = 8
    regions, count, _ = find_regions(relative, 5)
    assert (len(regions), count) == (LISTED, 14 * 14 + 1)


def test_colours_are_weighted_by_opacity() -> None:
    """Hidden colours do not count; at half the opacity, half the difference does."""
    lr, alpha = torch.full((3, 6, 6), 0.5), torch.ones(1, 6, 6)
    alpha[:, :3] = 0
    alpha[:, 4] = 0.5
    sr = _enlarged(lr)
    sr[:, :6], sr[:, 8:10] = 1, 0.9
    image = Image(lr, (0.0, 1.0), {"bits": 8, "alpha": alpha})
    found = _check(image, sr, alpha=_enlarged(alpha))
    expected = torch.zeros(3, 6, 6)
    expected[:, 4] = -0.2
    torch.testing.assert_close(found.residual, expected, atol=1e-6, rtol=0)
    on_white = 1 + (sr - 1) * _enlarged(alpha)
    torch.testing.assert_close(_check(image, on_white).residual, expected, atol=1e-6, rtol=0)
