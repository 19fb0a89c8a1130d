"""Networks that are run on images of any size."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from upscale_setup import Nearest, twice

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.functional.resizing import resize
from srkit.interfaces import Image
from srkit.models.open import Model, open_model
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("compact", {}),
        ("edsr", {}),
        ("plksr", {"kernel": 5}),
        ("realplksr", {"kernel": 5, "norm": "layer", "upsampler": "dysample"}),
        ("span", {"normalise": False}),
    ],
)
def test_tiles_change_nothing(name: str, options: dict[str, Any]) -> None:
    factory = Registry.discover().get("generators", name).factory
    network = factory(scale=2, channels=3, blocks=2, features=8, **options).eval()
    model = Model(name, network, 2, 3)
    image = Image(torch.rand(3, 90, 71))
    whole = ImageUpscaler(model, precision="fp32", tile=1000)(image).pixels
    tiled = ImageUpscaler(model, precision="fp32", tile=33)(image).pixels
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def test_tiles_begin_where_the_network_unshuffles_pixels() -> None:
    factory = Registry.discover().get("generators", "rrdb").factory
    network = factory(scale=1, channels=3, blocks=1, features=8, growth=4).eval()
    image = Image(torch.rand(3, 90, 71))
    whole, tiled = (
        ImageUpscaler(Model("rrdb", network, 1, 3), precision="fp32", tile=tile)(image).pixels
        for tile in (1000, 33)
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_interpolations_are_models(kernel: str) -> None:
    model = open_model(kernel, Registry.discover(), scale=3)
    pixels = torch.rand(4, 11, 13)
    found = ImageUpscaler(model)(Image(pixels)).pixels
    expected = resize(pixels[None], factor=3, kernel=kernel)[0]  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected)


class _Slanted(Nearest):
    """Adds a slope that averages out over eight flips and rotations."""

    def forward(self, lr: Tensor) -> Tensor:
        sr = super().forward(lr)
        return sr + torch.linspace(-1, 1, sr.shape[-1])


def test_the_self_ensemble_and_its_scatter() -> None:
    model = Model("slanted", _Slanted(), 2, 1)
    pixels = torch.rand(1, 6, 6)
    found = ImageUpscaler(model, self_ensemble=True, uncertainty=True)(Image(pixels, (0.0, 4.0)))
    torch.testing.assert_close(found.pixels, twice(pixels), atol=1e-5, rtol=0)
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
    model = Model("near", Nearest(), 2, 1, stretch, head=Head())  # type: ignore[arg-type]
    found = ImageUpscaler(model, scale=3, uncertainty=True)(Image(torch.rand(1, 6, 6)))
    assert found.sigma is not None
    torch.testing.assert_close(found.sigma, torch.full((1, 18, 18), 0.25 * 8.0))


def test_small_images_are_not_tiled_and_need_no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring the margin takes longer than restoring an image of this size."""
    monkeypatch.setattr("srkit.upscaling.network.reach", lambda *asked: pytest.fail("measured"))
    image = Image(torch.rand(1, 100, 90))
    found = ImageUpscaler(Model("near", Nearest(), 2, 1))(image)  # type: ignore[arg-type]
    torch.testing.assert_close(found.pixels, twice(image.pixels))


class _FarSighted(Nearest):
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
    assert upscaler.network.margin("bf16") == 1
    assert upscaler.network.margin() == 32
    whole = ImageUpscaler(model, tile=40)(Image(pixels)).pixels
    torch.testing.assert_close(upscaler(Image(pixels)).pixels, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("fastest", ["fp32", "bf16", "fp16"])
def test_auto_is_the_fastest_precision_for_8_bits_only(
    fastest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srkit.upscaling.network.fastest_precision", lambda device: (fastest, ""))
    upscaler = ImageUpscaler(Model("near", _Summing(), 2, 1))  # type: ignore[arg-type]
    pixels = torch.full((1, 6, 6), 0.5) + 2.0**-9  # fp16 has 10 bits below 0.5, bf16 has 7
    assert upscaler(Image(pixels)).pixels[0, 3, 3] == pixels[0, 0, 0]
    rounded = {"fp32": pixels[0, 0, 0], "bf16": 0.5, "fp16": pixels[0, 0, 0]}
    found = upscaler(Image(pixels, metadata={"bits": 8})).pixels
    assert upscaler.precision_for(Image(pixels, metadata={"bits": 8})) == fastest
    assert found[0, 3, 3] == rounded[fastest]


class _Summing(Nearest):
    """Convolves with a kernel of one pixel, in the precision of autocast."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(nn.functional.conv2d(lr, torch.ones(1, 1, 1, 1)).float())


class _Exploding(Nearest):
    """Returns a value that only fp16 cannot hold."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(nn.functional.conv2d(lr, torch.full((1, 1, 1, 1), 1e5)).float())


def test_an_overflow_of_fp16_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srkit.upscaling.network.fastest_precision", lambda device: ("fp16", ""))
    upscaler = ImageUpscaler(Model("exploding", _Exploding(), 2, 1))  # type: ignore[arg-type]
    image = Image(torch.ones(1, 6, 6), metadata={"bits": 8})
    with pytest.raises(DataError, match="the network exceeds the range of fp16; use --precision"):
        upscaler(image)


def test_a_slow_precision_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ImageUpscaler(Model("near", Nearest(), 2, 1), precision="fp32")  # type: ignore[arg-type]
    assert found.network.notes == []
    monkeypatch.setattr(
        "srkit.system.precision.fastest_precision", lambda device: ("fp32", "an old processor")
    )
    found = ImageUpscaler(Model("near", Nearest(), 2, 1), precision="bf16")  # type: ignore[arg-type]
    expected = "bf16 is slow on this device (an old processor); auto takes fp32"
    assert found.network.notes == [expected]
