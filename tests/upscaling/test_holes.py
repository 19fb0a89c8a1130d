"""Pixels that a network does not receive."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy.convolution import Gaussian2DKernel, interpolate_replace_nans
from upscale_setup import nearest_upscaler

from srkit.components.registry import Registry
from srkit.interfaces import Image
from srkit.models.open import open_model
from srkit.upscaling.holes import REACH, interpolated, marks, unusable
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.mark.parametrize(("side", "sigma"), [(1, 1), (4, 1), (11, 4)])
def test_the_interpolation_is_that_of_astropy(side: int, sigma: float) -> None:
    """Pixels up to four from a known one take the narrow Gaussian, others the wide one."""
    values = np.random.default_rng(0).normal(5, 1, (2, 70, 80))
    bad = np.zeros(values.shape, bool)
    bad[0, 30 : 30 + side, 35 : 35 + side] = True
    found = interpolated(torch.from_numpy(values), torch.from_numpy(bad)).numpy()
    assert (found[~bad] == values[~bad]).all()
    size = 8 * sigma + 1
    expected = interpolate_replace_nans(
        np.where(bad[0], np.nan, values[0]), Gaussian2DKernel(sigma, x_size=size, y_size=size)
    )
    inside = np.zeros_like(bad[0])
    if sigma == 4:
        inside[34 : 30 + side - 4, 39 : 35 + side - 4] = True  # beyond the narrow one
    else:
        inside = bad[0]
    np.testing.assert_allclose(found[0][inside], expected[inside], rtol=1e-6)


def test_pixels_far_from_any_value_get_the_median() -> None:
    values = torch.arange(60.0 * 60).reshape(1, 60, 60)
    bad = torch.zeros(1, 60, 60, dtype=torch.bool)
    bad[:, :40] = True
    found = interpolated(values, bad)
    assert (found[:, : 40 - REACH] == values[:, 40:].median()).all()
    assert (found[:, 40 - REACH] > values[:, 40:].min()).all()
    assert torch.equal(interpolated(values, torch.zeros_like(bad)), values)


def test_marks_grow() -> None:
    bad = torch.zeros(1, 5, 7, dtype=torch.bool)
    bad[0, 2, 3] = True
    found = marks(bad, 1)[0]
    assert found[1:4, 2:5].tolist() == [[2, 2, 2], [2, 1, 2], [2, 2, 2]]
    assert int((found > 0).sum()) == 9
    assert torch.equal(marks(bad, 0), bad.to(torch.uint8))


def test_unusable_values_have_no_effect(registry: Registry) -> None:
    upscaler = ImageUpscaler(open_model("sky_x2", registry))
    pixels = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (1, 40, 40))).float()
    marked = torch.zeros(1, 40, 40, dtype=torch.bool)
    marked[:, 20:22, 10] = True
    results = []
    for value in (0.0, 3000.0):
        image = Image(pixels.masked_fill(marked, value), (-4.0, 4.0), {"unusable": marked})
        results.append(upscaler(image))
    assert torch.equal(results[0].pixels, results[1].pixels)
    assert results[0].pixels.abs().max() < 10
    assert results[0].marks is not None
    # The box of 2 x 1 pixels, and two pixels around.
    assert int((results[0].marks == 1).sum()) == 8
    assert int((results[0].marks == 2).sum()) == 4 * (6 * 5 - 2)


def test_images_without_bad_pixels_have_no_marks() -> None:
    image = Image(torch.rand(1, 9, 9))
    assert not unusable(image).any()
    assert nearest_upscaler()(image).marks is None
