"""Pictures with an alpha channel."""

from __future__ import annotations

import torch
from torch import Tensor
from upscale_setup import Nearest, nearest_upscaler, twice

from srkit.components.registry import Registry
from srkit.interfaces import Image
from srkit.models.open import Model, open_model
from srkit.upscaling.alpha import upscale_picture
from srkit.upscaling.upscaler import ImageUpscaler


def test_transparent_pixels_do_not_bleed() -> None:
    colours = torch.zeros(3, 8, 8)
    colours[1] = 1.0  # hidden pixels are green
    colours[:, :, :4] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    alpha = torch.zeros(1, 8, 8)
    alpha[:, :, :4] = 1.0
    model = open_model("bicubic", Registry.discover(), scale=2)
    image = Image(colours, metadata={"alpha": alpha, "bits": 8})
    found, opacity = upscale_picture(ImageUpscaler(model, precision="fp32"), image)
    assert opacity is not None
    seen = opacity[0] > 0.05
    torch.testing.assert_close(
        found.pixels[0][seen], torch.ones(int(seen.sum())), atol=1e-3, rtol=0
    )
    assert float(found.pixels[1].abs().max()) < 1e-3


class _Hazy(Nearest):
    """Has an error of a few levels everywhere."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(lr) + 0.03


def test_transparent_regions_get_no_haze() -> None:
    alpha = torch.zeros(1, 16, 16)
    alpha[:, :, 8:] = 1.0
    image = Image(torch.rand(3, 16, 16), metadata={"alpha": alpha, "bits": 8})
    hazy = ImageUpscaler(Model("hazy", _Hazy(), 2, 3))  # type: ignore[arg-type]
    _, opacity = upscale_picture(hazy, image)
    assert opacity is not None
    assert opacity[..., :12].unique().tolist() == [0.0]
    assert opacity[..., 20:].unique().tolist() == [1.0]
    torch.testing.assert_close(opacity[..., 12:16], torch.full((1, 32, 4), 0.03))


def test_an_opaque_picture_stays_opaque() -> None:
    image = Image(torch.rand(3, 8, 8), metadata={"alpha": torch.ones(1, 8, 8)})
    found, opacity = upscale_picture(nearest_upscaler(3), image)
    assert opacity is not None
    assert opacity.unique().tolist() == [1.0]
    torch.testing.assert_close(found.pixels, twice(image.pixels))
