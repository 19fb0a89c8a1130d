"""Values and bands of images, converted for the network and back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from upscale_setup import Nearest, nearest_upscaler, twice

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.interfaces import Image
from srkit.interfaces.quantity import Quantity
from srkit.models.open import Model
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.mark.parametrize(("channels", "bands"), [(1, 1), (1, 5), (3, 1), (3, 3), (3, 4), (None, 7)])
def test_any_bands_through_any_network(channels: int | None, bands: int) -> None:
    pixels = torch.rand(bands, 5, 9)
    found = nearest_upscaler(channels)(Image(pixels))
    torch.testing.assert_close(found.pixels, twice(pixels))
    stated = {
        (1, 5): ["5 bands are restored one by one"],
        (3, 1): ["the network is for RGB: the only band is used as red, green and blue"],
        (3, 4): ["the network is for RGB: each of 4 bands is used as red, green and blue"],
    }
    assert found.notes == stated.get((channels, bands), [])


def test_bands_that_do_not_fit_the_network() -> None:
    with pytest.raises(DataError) as caught:
        nearest_upscaler(2)(Image(torch.rand(3, 4, 4)))
    assert str(caught.value) == "has 3 channels, but the network expects 2"


def test_values_keep_range_and_sign() -> None:
    pixels = torch.randn(1, 6, 6) * 1000 - 300
    image = Image(pixels, (float(pixels.min()), float(pixels.max())))
    torch.testing.assert_close(nearest_upscaler()(image).pixels, twice(pixels), rtol=0, atol=1e-3)


def test_the_network_receives_its_own_range() -> None:
    seen: list[Tensor] = []

    class Spy(Nearest):
        def forward(self, lr: Tensor) -> Tensor:
            seen.append(lr.clone())
            return super().forward(lr)

    model = Model("spy", Spy(), 2, 1, quantity=Quantity(data_range=(-1.0, 1.0)))
    ImageUpscaler(model)(Image(torch.tensor([[[10.0, 30.0]]]), (10.0, 30.0)))
    assert seen[-1].flatten().tolist() == [-1.0, 1.0]


def test_a_stretch_fitted_to_each_image_needs_no_zero_point() -> None:
    options = {"peak": "noise", "offset": "image"}
    stretch = Registry.discover().get("stretches", "asinh").factory(**options)
    calibrated = Quantity("count / s", 27.0, 0.1, (0.0, 40.0))
    model = Model("any", Nearest(), 2, 1, stretch, quantity=calibrated)  # type: ignore[arg-type]
    image = Image(torch.randn(1, 9, 8), (-1.0, 5.0))
    found = ImageUpscaler(model)(image).pixels
    torch.testing.assert_close(found, twice(image.pixels), atol=1e-5, rtol=1e-5)
    other = ImageUpscaler(model)(Image(256 * image.pixels)).pixels
    torch.testing.assert_close(other, 256 * found)
