from __future__ import annotations

import math

import pytest
import torch
from sources_setup import batch, noise
from srkit_astro.metrics.bands import compare_bands, mean_of_defined, measure_bands


def test_the_value_of_an_image_is_the_mean_over_its_defined_bands() -> None:
    values = torch.tensor([[1.0, 3.0], [5.0, math.nan], [math.nan, math.nan]])
    pixels = torch.arange(6.0).view(3, 2, 1, 1)

    found = measure_bands(lambda band: float(values.flatten()[int(band.item())]), pixels)
    torch.testing.assert_close(found, torch.tensor([2.0, 5.0, math.nan]).double(), equal_nan=True)


def test_bands_of_sr_are_compared_with_those_of_hr() -> None:
    sr, hr = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    found = compare_bands(lambda s, h: (s - h).sum(), sr, batch(hr, lr=hr))
    torch.testing.assert_close(found, (sr - hr).double().sum((2, 3)).mean(1))


def test_images_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^SR has the shape 1 x 1 x 4 x 4 and HR 1 x 1 x 6 x 6 "):
        compare_bands(lambda s, h: 0.0, torch.zeros(1, 1, 4, 4), batch(torch.zeros(1, 1, 6, 6)))


def test_values_that_are_not_finite_are_refused() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 1, :2] = math.nan
    with pytest.raises(ValueError, match=r"^2 of 16 values are not finite; fill them first$"):
        measure_bands(lambda band: 0.0, image)


def test_the_mean_of_undefined_values_is_nan() -> None:
    assert math.isnan(mean_of_defined([math.nan, math.nan]))
    assert math.isnan(mean_of_defined([]))
    assert mean_of_defined([1.0, math.inf]) == math.inf
