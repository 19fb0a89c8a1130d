"""Regions where SR contradicts its input."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, gaussian_filter
from srkit_astro.instruments.degradations import PsfNoise
from srkit_astro.metrics.consistency import ReducedChiSquare
from torch import Tensor

from srkit.components.options import build
from srkit.functional.resizing import resize
from srkit.interfaces import Batch, Image
from srkit.studies.consistency.forward_model import ForwardModel
from srkit.studies.consistency.measure import (
    LISTED,
    Check,
    check,
    find_regions,
    yardstick,
)
from srkit.studies.consistency.report import describe_check

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
    noise = 2 * 2400**0.5 / float(lr.abs().sum())
    assert found.flux_error == pytest.approx(noise, rel=0.1)
    assert found.peak is not None
    assert (found.peak.x, found.peak.y, found.peak.worst) == (50, 30, first.worst)


def test_nothing_is_called_unsupported_if_the_observation_is_unknown() -> None:
    lr = _noise(1, 40, 60)
    sr = _enlarged(lr)
    sr[:, 20:24, 30:34] += 50
    unknown = replace(AREA, stated=False)
    found = check(Frame(lr, (-10, 10)), Image(sr, (-10, 10), {}), unknown)
    assert (found.regions, found.count, found.share) == ([], None, None)
    assert found.peak is not None
    assert (found.peak.x, found.peak.y) in [(x, y) for x in (15, 16) for y in (10, 11)]
    assert found.rms == pytest.approx((4 * 50**2 / 2400) ** 0.5)


@pytest.mark.parametrize("correlated", [False, True])
def test_five_sigma_of_correlated_noise(correlated: bool) -> None:
    """SR without noise is supported also if LR is drizzled: differences of neighbours are small."""
    kernel = [1.0, 2.0, 2.0, 1.0] if correlated else [1.0]
    white = RNG.normal(0, 1, (200, 200))
    lr = convolve1d(convolve1d(white, kernel, 0), kernel, 1)
    lr /= lr.std()
    found = _check(Frame(torch.from_numpy(lr)[None].float(), (-5, 5)), torch.zeros(1, 400, 400))
    assert (found.count, found.share) == (0, 0.0)
    assert found.relative_rms == pytest.approx(1, abs=0.05)
    neighbours = found.yardstick.noise[0].neighbours
    assert neighbours == pytest.approx(0.8 if correlated else 0.0, abs=0.02)
    assert abs(found.flux_change) < 5 * found.flux_error


def test_light_from_outside_and_from_holes_is_not_judged() -> None:
    """A PSF moves light over the edge of the frame and out of pixels without a value."""
    sky = torch.zeros(1, 1, 96, 96)
    sky[..., 30:32, 46:50] = sky[..., 64:66, 64:66] = 250  # behind the edge, and in the hole
    psf = build(PsfNoise, {"psf": {"type": "gaussian", "fwhm": 0.6}, "pixel_scale": 0.1}, scale=2)
    forward = ForwardModel(lambda sr, size: psf(sr, [0] * len(sr)), "PSF", "")
    sr = sky[0, :, 32:, :]
    lr = psf(sky, [0])[0, :, 16:, :] + _noise(1, 32, 48)
    lr[:, 16:17, 32:33] = torch.nan
    sr[:, 32:34, 64:66] = torch.nan
    found = check(Frame(lr, (-5, 5)), Image(sr, (-5, 5), {}), forward)
    assert found.peak is not None
    assert abs(found.peak.worst) > 10
    assert found.count == 0
    sr[:, 50:52, 20:22] += 1e3
    regions = check(Frame(lr, (-5, 5)), Image(sr, (-5, 5), {}), forward).regions
    assert [(region.x, region.y) for region in regions] == [(10, 25)]
    small = check(Frame(lr[:, :4, :4], (-5, 5)), Image(sr[:, :8, :8], (-5, 5), {}), forward)
    assert (small.count, small.regions) == (None, [])
    assert "supported, since light from outside of the frame contrib" in describe_check(small)


def test_sr_that_agrees_is_supported() -> None:
    lr = _noise(1, 20, 20)
    found = _check(Frame(lr, (-5, 5)), _enlarged(lr))
    assert (found.regions, found.count, found.share) == ([], 0, 0.0)
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
    light = 500 * gaussian_filter((np.hypot(x - 90, y - 80) < 40).astype(float), 6) + x / 2
    pixels = torch.from_numpy(light + RNG.normal(0, 1.7, light.shape)).float()
    pixels[20:30, 20:30] = torch.nan
    both = torch.stack([pixels, 10 * pixels])
    found = yardstick(Frame(both, (0, 10)))
    assert found.values.flatten().tolist() == pytest.approx([1.7, 17], rel=0.05)


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
