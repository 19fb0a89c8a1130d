"""Images restored in their own values, at any scale."""

from __future__ import annotations

import pytest
import torch
from upscale_setup import Nearest, nearest_upscaler, twice

from srkit.components.registry import Registry
from srkit.errors import DataError, WeightsError
from srkit.functional.resizing import resize
from srkit.interfaces import Image
from srkit.models.open import Model, open_model
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5, 3.5])
def test_other_scales_are_resized_from_the_scale_of_the_model(scale: float) -> None:
    pixels = torch.rand(1, 8, 12)
    found = nearest_upscaler(scale=scale)(Image(pixels)).pixels
    assert found.shape == (1, 8 * scale, 12 * scale)
    expected = resize(twice(pixels)[None], factor=scale / 2)[0]
    torch.testing.assert_close(found, expected)


def test_pixels_without_a_value_have_none_in_sr() -> None:
    pixels = torch.rand(2, 4, 4)
    pixels[0, 1, 2], pixels[1, 3, 3] = torch.nan, torch.inf
    found = nearest_upscaler(1)(Image(pixels))
    expected = twice(pixels).nan_to_num(torch.nan, torch.nan, torch.nan)
    torch.testing.assert_close(found.pixels, expected, equal_nan=True)
    assert found.notes[-1] == "2 pixels have no value, and none in SR either"


def test_an_image_without_values() -> None:
    with pytest.raises(DataError) as caught:
        nearest_upscaler()(Image(torch.full((1, 4, 4), torch.nan)))
    assert str(caught.value) == "no pixel has a value: all are NaN or infinite"


def test_settings_that_are_not_positive() -> None:
    with pytest.raises(ValueError, match="the scale must be positive, got 0"):
        nearest_upscaler(scale=0.0)
    with pytest.raises(ValueError, match="the tile must be positive, got 0"):
        nearest_upscaler(tile=0)


def test_invalid_settings() -> None:
    model = Model("near", Nearest(), 2, 1)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"^the precision must be one of auto, bf16, fp32; got 'fp8'$"
    ):
        ImageUpscaler(model, precision="fp8")  # type: ignore[arg-type]
    bicubic = open_model("bicubic", Registry.discover(), scale=2)
    with pytest.raises(WeightsError) as caught:
        ImageUpscaler(bicubic, uncertainty=True)
    assert str(caught.value) == (
        "'bicubic' is an interpolation, whose uncertainty is unknown; drop the option"
    )
