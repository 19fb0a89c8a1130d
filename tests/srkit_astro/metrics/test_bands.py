from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from sources_setup import batch, noise
from srkit_astro.grids import lr_of, pixel_scale_of
from srkit_astro.metrics.bands import compare_bands, each_image, mean_of_measured


def test_the_value_of_an_image_is_the_mean_over_its_measurable_bands() -> None:
    values = torch.tensor([[1.0, 3.0], [5.0, math.nan], [math.nan, math.nan]])
    pixels = torch.arange(6.0).view(3, 2, 1, 1)

    found = each_image(lambda band: float(values.flatten()[int(band.item())]), pixels)
    torch.testing.assert_close(found, torch.tensor([2.0, 5.0, math.nan]).double(), equal_nan=True)


def test_bands_of_sr_and_hr_come_in_pairs() -> None:
    sr, hr = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    found = compare_bands(lambda s, h: (s - h).sum(), sr, batch(hr, lr=hr))
    torch.testing.assert_close(found, (sr - hr).double().sum((2, 3)).mean(1))


def test_images_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^SR is 1 x 1 x 4 x 4 and HR 1 x 1 x 6 x 6 "):
        compare_bands(lambda s, h: 0.0, torch.zeros(1, 1, 4, 4), batch(torch.zeros(1, 1, 6, 6)))


def test_values_that_are_not_finite_are_refused() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 1, :2] = math.nan
    with pytest.raises(ValueError, match=r"^2 of 16 values are not finite; fill them first$"):
        each_image(lambda band: 0.0, image)


def test_the_mean_of_nothing_measured_is_nan() -> None:
    assert math.isnan(mean_of_measured([math.nan, math.nan]))
    assert math.isnan(mean_of_measured([]))
    assert mean_of_measured([1.0, math.inf]) == math.inf


def test_lr_has_to_be_there_and_to_be_subdivided_by_hr() -> None:
    whole = batch(torch.zeros(1, 1, 8, 12))
    assert lr_of(whole)[1] == 2
    with pytest.raises(
        ValueError, match=r"^there is no LR; name a degradation, or take a data set"
    ):
        lr_of(replace(whole, lr=None))
    message = (
        r"^HR of 8 x 12 does not subdivide LR of 4 x 5 pixels; expected sides that are the scale "
        r"times those of LR$"
    )
    with pytest.raises(ValueError, match=message):
        lr_of(replace(whole, lr=torch.zeros(1, 1, 4, 5)))


def test_metrics_in_arcsec_need_the_pixel_scale() -> None:
    assert pixel_scale_of(batch(torch.zeros(1, 1, 2, 2))) == 0.05
    message = (
        r"^the data set states no pixel scale, which a metric in arcsec needs; give it to the data "
        r"set, or leave the metric out$"
    )
    with pytest.raises(ValueError, match=message):
        pixel_scale_of(batch(torch.zeros(1, 1, 2, 2), pixel_scale=None))
