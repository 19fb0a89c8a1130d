"""Images restored in their own values, at any scale."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from srkit.components.registry import Registry
from srkit.errors import DataError, WeightsError
from srkit.functional.resizing import resize
from srkit.interfaces import Image
from srkit.interfaces.quantity import Quantity
from srkit.models.open import Model, open_model
from srkit.upscaling.alpha import upscale_picture
from srkit.upscaling.upscaler import ImageUpscaler


class _Nearest(nn.Module):
    """Repeats pixels, so that its output is known."""

    channels_last = False

    def forward(self, lr: Tensor) -> Tensor:
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


def _upscaler(channels: int | None = 1, **options: object) -> ImageUpscaler:
    return ImageUpscaler(Model("nearest", _Nearest(), 2, channels), **options)


def _twice(pixels: Tensor) -> Tensor:
    return pixels.repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize(("channels", "bands"), [(1, 1), (1, 5), (3, 1), (3, 3), (3, 4), (None, 7)])
def test_any_bands_through_any_network(channels: int | None, bands: int) -> None:
    pixels = torch.rand(bands, 5, 9)
    found = _upscaler(channels)(Image(pixels))
    torch.testing.assert_close(found.pixels, _twice(pixels))
    stated = {
        (1, 5): ["5 bands are restored one by one"],
        (3, 1): ["the network is for RGB: the only band is used as red, green and blue"],
        (3, 4): ["the network is for RGB: each of 4 bands is used as red, green and blue"],
    }
    assert found.notes == stated.get((channels, bands), [])


def test_bands_that_do_not_fit_the_network() -> None:
    with pytest.raises(DataError) as caught:
        _upscaler(2)(Image(torch.rand(3, 4, 4)))
    assert str(caught.value) == "has 3 channels, but the network expects 2"


def test_values_keep_range_and_sign() -> None:
    pixels = torch.randn(1, 6, 6) * 1000 - 300
    image = Image(pixels, (float(pixels.min()), float(pixels.max())))
    torch.testing.assert_close(_upscaler()(image).pixels, _twice(pixels), rtol=0, atol=1e-3)


def test_the_network_receives_its_own_range() -> None:
    seen: list[Tensor] = []

    class Spy(_Nearest):
        def forward(self, lr: Tensor) -> Tensor:
            seen.append(lr.clone())
            return super().forward(lr)

    model = Model("spy", Spy(), 2, 1, quantity=Quantity(data_range=(-1.0, 1.0)))
    ImageUpscaler(model)(Image(torch.tensor([[[10.0, 30.0]]]), (10.0, 30.0)))
    assert seen[-1].flatten().tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5, 3.5])
def test_other_scales_are_resized_from_the_scale_of_the_model(scale: float) -> None:
    pixels = torch.rand(1, 8, 12)
    found = _upscaler(scale=scale)(Image(pixels)).pixels
    assert found.shape == (1, 8 * scale, 12 * scale)
    expected = resize(_twice(pixels)[None], factor=scale / 2)[0]
    torch.testing.assert_close(found, expected)


def test_tiles_change_nothing() -> None:
    registry = Registry.discover()
    factory = registry.get("generators", "edsr").factory
    model = Model("edsr", factory(scale=2, channels=3, blocks=2, features=8).eval(), 2, 3)
    image = Image(torch.rand(3, 90, 71))
    whole = ImageUpscaler(model, precision="fp32", tile=1000)(image).pixels
    tiled = ImageUpscaler(model, precision="fp32", tile=33)(image).pixels
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_interpolations_are_models(kernel: str) -> None:
    model = open_model(kernel, Registry.discover(), scale=3)
    pixels = torch.rand(4, 11, 13)
    found = ImageUpscaler(model)(Image(pixels)).pixels
    expected = resize(pixels[None], factor=3, kernel=kernel)[0]  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected)


def test_pixels_without_a_value_have_none_in_sr() -> None:
    pixels = torch.rand(2, 4, 4)
    pixels[0, 1, 2], pixels[1, 3, 3] = torch.nan, torch.inf
    found = _upscaler(1)(Image(pixels))
    expected = _twice(pixels).nan_to_num(torch.nan, torch.nan, torch.nan)
    torch.testing.assert_close(found.pixels, expected, equal_nan=True)
    assert found.notes[-1] == "2 pixels have no value, and none in SR either"


def test_an_image_without_values() -> None:
    with pytest.raises(DataError) as caught:
        _upscaler()(Image(torch.full((1, 4, 4), torch.nan)))
    assert str(caught.value) == "no pixel has a value: all are NaN or infinite"


def test_settings_that_are_not_positive() -> None:
    with pytest.raises(ValueError, match="the scale must be positive, got 0"):
        _upscaler(scale=0.0)
    with pytest.raises(ValueError, match="the tile must be positive, got 0"):
        _upscaler(tile=0)


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


class _Slanted(_Nearest):
    """Adds a slope that averages out over eight flips and rotations."""

    def forward(self, lr: Tensor) -> Tensor:
        sr = super().forward(lr)
        return sr + torch.linspace(-1, 1, sr.shape[-1])


def test_the_self_ensemble_and_its_scatter() -> None:
    model = Model("slanted", _Slanted(), 2, 1)
    pixels = torch.rand(1, 6, 6)
    found = ImageUpscaler(model, self_ensemble=True, uncertainty=True)(Image(pixels, (0.0, 4.0)))
    torch.testing.assert_close(found.pixels, _twice(pixels), atol=1e-5, rtol=0)
    slope = torch.linspace(-4, 4, 12)
    x, y = slope.expand(12, 12), slope[:, None].expand(12, 12)
    expected = ((2 * (x**2 + y**2) * 2) / 7).sqrt()  # each of x, -x, y, -y twice; unbiased
    assert found.sigma is not None
    torch.testing.assert_close(found.sigma[0], expected, atol=1e-4, rtol=0)


def test_a_predicted_sigma_is_converted_by_stretch_and_scale() -> None:
    class Head(nn.Module):
        def forward(self, lr: Tensor, sr: Tensor) -> Tensor:
            return torch.full_like(sr, 2 * math.log(0.25))

    stretch = Registry.discover().get("stretches", "linear").factory(peak=8.0)
    model = Model("near", _Nearest(), 2, 1, stretch, head=Head())  # type: ignore[arg-type]
    found = ImageUpscaler(model, scale=3, uncertainty=True)(Image(torch.rand(1, 6, 6)))
    assert found.sigma is not None
    torch.testing.assert_close(found.sigma, torch.full((1, 18, 18), 0.25 * 8.0))


def test_invalid_settings() -> None:
    model = Model("near", _Nearest(), 2, 1)  # type: ignore[arg-type]
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


def test_small_images_are_not_tiled_and_need_no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring the margin takes longer than restoring an image of this size."""
    monkeypatch.setattr("srkit.upscaling.network.reach", lambda *asked: pytest.fail("measured"))
    image = Image(torch.rand(1, 100, 90))
    found = ImageUpscaler(Model("near", _Nearest(), 2, 1))(image)  # type: ignore[arg-type]
    torch.testing.assert_close(found.pixels, _twice(image.pixels))


class _FarSighted(_Nearest):
    """Adds a small fraction of the pixels up to 20 to either side."""

    def forward(self, lr: Tensor) -> Tensor:
        faint = torch.full((1, 1, 1, 41), 1e-5)
        return super().forward(lr + nn.functional.conv2d(lr.float(), faint, padding=(0, 20)))


def test_the_margin_in_bf16_is_not_used_for_floats() -> None:
    """Tiled floats equal the whole image, even after an 8-bit image was restored in bf16."""
    model = Model("far", _FarSighted(), 2, 1)  # type: ignore[arg-type]
    upscaler = ImageUpscaler(model, tile=16)
    pixels = torch.rand(1, 40, 40, generator=torch.Generator().manual_seed(0))
    upscaler(Image(pixels, metadata={"bits": 8}))
    assert upscaler.network.margin(rounded=True) == 1
    assert upscaler.network.margin() == 32
    whole = ImageUpscaler(model, tile=40)(Image(pixels)).pixels
    torch.testing.assert_close(upscaler(Image(pixels)).pixels, whole, atol=1e-6, rtol=0)


def test_a_stretch_fitted_to_each_image_needs_no_zero_point() -> None:
    options = {"peak": "noise", "offset": "image"}
    stretch = Registry.discover().get("stretches", "asinh").factory(**options)
    calibrated = Quantity("count / s", 27.0, 0.1, (0.0, 40.0))
    model = Model("any", _Nearest(), 2, 1, stretch, quantity=calibrated)  # type: ignore[arg-type]
    image = Image(torch.randn(1, 9, 8), (-1.0, 5.0))
    found = ImageUpscaler(model)(image).pixels
    torch.testing.assert_close(found, _twice(image.pixels), atol=1e-5, rtol=1e-5)
    other = ImageUpscaler(model)(Image(256 * image.pixels)).pixels
    torch.testing.assert_close(other, 256 * found)


class _Hazy(_Nearest):
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
    found, opacity = upscale_picture(_upscaler(3), image)
    assert opacity is not None
    assert opacity.unique().tolist() == [1.0]
    torch.testing.assert_close(found.pixels, _twice(image.pixels))
