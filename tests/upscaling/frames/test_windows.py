"""Frames restored by windows, compared with the whole image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from frames_setup import Held
from srkit_astro.constraints import Flux
from srkit_astro.instruments.psf import GaussianPsf
from srkit_astro.stretches import Asinh

from srkit.components.registry import Registry
from srkit.interfaces import Image
from srkit.interfaces.quantity import Quantity
from srkit.models.open import Model, open_model
from srkit.upscaling.frames.windows import FrameUpscaler
from srkit.upscaling.images import upscale_images
from srkit.upscaling.upscaler import ImageUpscaler


def _network(channels: int = 1, **options: Any) -> Model:
    factory = Registry.discover().get("generators", "edsr").factory
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = factory(scale=2, channels=channels, blocks=1, features=4).eval()
    return Model("edsr", network, 2, channels, **options)


def _by_windows(upscaler: ImageUpscaler, image: Image) -> tuple[Image, list[str]]:
    """Restore an image by windows, which have to cover SR exactly once."""
    source = Held(image)
    frame = FrameUpscaler(upscaler, source, None, {})
    parts = [frame.restore(window) for strip in frame.strips() for window in frame.windows(strip)]
    assert len(parts) > 4
    outline, notes = frame.describe(
        sum(part.total for part in parts), sum(part.count for part in parts)
    )
    pixels = torch.full(outline.pixels.shape, -99.0)
    alpha = torch.full((1, *outline.pixels.shape[1:]), -99.0)
    for part in parts:
        rows, columns = part.image.pixels.shape[-2:]
        window = slice(part.top, part.top + rows), slice(part.left, part.left + columns)
        assert (pixels[:, *window] == -99).all()
        pixels[:, *window] = part.image.pixels
        if "alpha" in image.metadata:
            alpha[:, *window] = part.image.metadata["alpha"]
    metadata = {**outline.metadata, **({"alpha": alpha} if "alpha" in image.metadata else {})}
    return Image(pixels, outline.data_range, metadata), notes


def _compare(upscaler: ImageUpscaler, image: Image, error: float = 1e-5) -> None:
    found, notes = _by_windows(upscaler, image)
    ((whole, expected),) = upscale_images([image], None, upscaler, {})
    span = image.data_range[1] - image.data_range[0]
    torch.testing.assert_close(
        found.pixels, whole.pixels, rtol=0, atol=error * span, equal_nan=True
    )
    if "alpha" in whole.metadata:
        torch.testing.assert_close(
            found.metadata["alpha"], whole.metadata["alpha"], rtol=0, atol=error
        )
    assert found.metadata.keys() == whole.metadata.keys()
    assert (found.data_range, notes) == (whole.data_range, expected)


def _image(channels: int = 1, **metadata: Any) -> Image:
    generator = torch.Generator().manual_seed(7)
    pixels = torch.rand(channels, 61, 83, generator=generator)
    return Image(pixels, (float(pixels.min()), float(pixels.max())), {"bits": 32, **metadata})


@pytest.mark.parametrize("scale", [2.0, 3.5, 1.3, 0.6])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network(scale: float, channels: int) -> None:
    upscaler = ImageUpscaler(_network(channels), scale=scale, tile=24)
    _compare(upscaler, _image(channels))


@pytest.mark.parametrize("scale", [2.0, 1.3])
def test_a_network_with_windows(scale: float) -> None:
    """Pieces of the frame begin where windows of attention begin."""
    factory = Registry.discover().get("generators", "swinir").factory
    sizes = {"groups": 1, "blocks": 2, "features": 8, "heads": 2, "window": 4}
    network = factory(scale=2, channels=1, upsampler="direct", **sizes).eval()
    model = Model("swinir", network, 2, 1)
    _compare(ImageUpscaler(model, scale=scale, tile=23), _image())


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_an_interpolation_of_any_bands(kernel: str) -> None:
    model = open_model(kernel, Registry.discover(), scale=3)
    _compare(ImageUpscaler(model, scale=2.7, tile=16), _image(5))


def test_single_bands_and_grey_for_rgb() -> None:
    _compare(ImageUpscaler(_network(1), tile=24), _image(3))
    _compare(ImageUpscaler(_network(3), tile=24), _image(1))


def test_holes_are_filled_with_the_median_of_the_frame() -> None:
    image = _image(2)
    image.pixels[0, 10:14, 20:60] = torch.nan
    image.pixels[1, 23:25, 23:25] = torch.inf
    image.pixels[1, 60, 82] = torch.nan
    for scale in (2.0, 3.5):
        _compare(ImageUpscaler(_network(1), scale=scale, tile=24), image)


def test_opacity() -> None:
    alpha = torch.linspace(0, 1, 61 * 83).view(1, 61, 83)
    alpha[:, 20:30] = 0
    upscaler = ImageUpscaler(_network(3), tile=24, precision="fp32")
    for opacity in (alpha, torch.full_like(alpha, 0.5)):
        image = _image(3, alpha=opacity)
        _compare(upscaler, Image(image.pixels, (0.0, 1.0), {**image.metadata, "bits": 16}), 1e-4)


@pytest.mark.parametrize(("peak", "self_ensemble"), [("image", False), ("noise", True)])
def test_a_stretch_fitted_to_the_frame(peak: Any, self_ensemble: bool) -> None:
    stretch = Asinh(peak=peak, offset="image")
    upscaler = ImageUpscaler(_network(stretch=stretch), tile=24, self_ensemble=self_ensemble)
    _compare(upscaler, _image(), 5e-5)


@pytest.mark.parametrize("psf", [None, GaussianPsf(type="gaussian", fwhm=0.3)])
def test_a_constraint(psf: GaussianPsf | None) -> None:
    quantity = Quantity(pixel_scale=0.1)
    constraint = Flux(psf=psf, steps=2)
    upscaler = ImageUpscaler(_network(constraint=constraint, quantity=quantity), tile=24)
    _compare(upscaler, _image())


def test_the_scatter_of_the_self_ensemble() -> None:
    upscaler = ImageUpscaler(_network(), scale=3.0, tile=24, uncertainty=True)
    image = _image()
    image.pixels[0, 5, 5] = torch.nan
    source = Held(image)
    frame = FrameUpscaler(upscaler, source, Sigmas(), {})
    whole = upscaler(image)
    assert whole.sigma is not None
    for strip in frame.strips():
        for part in map(frame.restore, frame.windows(strip)):
            sigma = part.image.metadata["sigma"]
            rows, columns = sigma.shape[-2:]
            expected = whole.sigma[:, part.top :, part.left :][:, :rows, :columns]
            torch.testing.assert_close(sigma, expected, rtol=0, atol=1e-5, equal_nan=True)


class Sigmas:
    """Keeps the standard deviation."""

    def enlarge(self, lr: Image, upscaled: Any, scale: float, history: object) -> Image:
        return Image(upscaled.pixels, lr.data_range, {"sigma": upscaled.sigma})


def test_strips_of_a_wide_frame_are_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srkit.upscaling.frames.windows.BAND", 83 * 10)
    upscaler = ImageUpscaler(_network(), tile=24)
    source = Held(_image())
    frame = FrameUpscaler(upscaler, source, None, {})
    assert frame.strips()[:2] == [(0, 20), (20, 40)]
    assert frame.strips()[-1] == (120, 122)
    _compare(upscaler, _image())
