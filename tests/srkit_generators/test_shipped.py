"""The small weights included in srkit, compared with interpolation and published networks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import skimage.data
import srkit_generators
import torch
from numpy.typing import NDArray
from PIL import Image
from srkit_generators.shipped import SHIPPED
from torch.nn.functional import normalize

from srkit import upscale
from srkit.components.registry import Registry
from srkit.functional.resizing import resize
from srkit.interfaces import Batch, Style
from srkit.weights.files import fetch

Values = NDArray[np.float64]


def luma(levels: NDArray[np.uint8]) -> Values:
    """ITU-R BT.601, 16 to 235, as MATLAB's rgb2ycbcr."""
    found: Values = levels @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    return found


def psnr_y(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    height, width = sr.shape[:2]
    difference = (luma(sr) - luma(hr[:height, :width]))[border:-border, border:-border]
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


def read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize(("scale", "least"), [(2, 37.05), (3, 33.5), (4, 31.3)])
def test_set5(scale: int, least: float, shared: Path) -> None:
    """Between the published SRCNN (36.66, 32.75, 30.48) and VDSR (37.53, 33.66, 31.35)."""
    found = []
    for path in (shared / "data/set5/HR").glob("*.png"):
        lr = read(shared / f"data/set5/X{scale}/{path.stem}x{scale}.png")
        found.append(psnr_y(upscale(lr, scale=scale), read(path), scale))
    assert len(found) == 5
    assert np.mean(found) > least


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_photograph(scale: int) -> None:
    hr = skimage.data.chelsea()[:300, :444]
    pixels = torch.from_numpy(hr.copy()).permute(2, 0, 1)[None].float()
    small = resize(pixels, factor=1 / scale).round().clamp(0, 255)[0].permute(1, 2, 0)
    lr = small.byte().numpy()
    given = {name: psnr_y(upscale(lr, model=name, scale=scale), hr, scale)
             for name in (f"edsr_small_x{scale}", "lanczos")}  # fmt: skip
    assert given[f"edsr_small_x{scale}"] > given["lanczos"] + 0.5


def degraded(hr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A quarter of the side, with noise, compressed by JPEG."""
    height, width, _ = hr.shape
    small = hr.reshape(height // 4, 4, width // 4, 4, 3).mean((1, 3))
    noisy = small + np.random.default_rng(0).normal(0, 4, small.shape)
    file = io.BytesIO()
    Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=50)
    return np.asarray(Image.open(file))


def test_degraded_photographs_enhanced(registry: Registry) -> None:
    """More natural by NIQE, and closer to HR in a classifier's features (LPIPS without weights)."""
    niqe = registry.get("metrics", "niqe").factory()
    teacher = registry.get("teachers", "efficientnet_lite0").factory().eval()
    stages = list(teacher.stages)

    def measure(levels: NDArray[np.uint8], hr: NDArray[np.uint8]) -> tuple[float, float]:
        sr, original = (
            torch.from_numpy(each.copy()).permute(2, 0, 1)[None].float() / 255
            for each in (levels, hr)
        )
        with torch.no_grad():
            ours, theirs = (teacher(each, stages).features for each in (sr, original))
        squares = ((normalize(ours[stage]) - normalize(theirs[stage])).square() for stage in stages)
        distance = sum(float(square.sum(1).mean()) for square in squares)
        return float(niqe(sr, Batch(["photo"], original, [0]))), distance

    photos = [
        getattr(skimage.data, name)()[:288, :288] for name in ("astronaut", "chelsea", "coffee")
    ]
    found = {
        style: np.array([measure(upscale(degraded(hr), scale=4, style=style), hr) for hr in photos])
        for style in get_args(Style)
    }
    niqe_gain, distance_gain = (1 - found["enhanced"] / found["faithful"]).T
    assert niqe_gain.min() > 0.05 and niqe_gain.mean() > 0.2
    assert distance_gain.mean() > 0.08


def sky(side: int) -> Values:
    """Return sources of many sizes on a sky of 7, in units of the pixel noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] + 0.5
    frame = np.full((side, side), 7.0)
    for flux, fwhm, beta in zip(
        10 ** rng.uniform(1.5, 4.5, 40), rng.uniform(2.5, 6, 40), rng.uniform(2, 4, 40), strict=True
    ):
        row, column = rng.uniform(0, side, 2)
        alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
        profile = (1 + ((y - row) ** 2 + (x - column) ** 2) / alpha**2) ** -beta
        frame += flux * (beta - 1) / (np.pi * alpha**2) * profile
    return frame + rng.normal(0, 0.3, frame.shape)


@pytest.mark.parametrize("unit", [1.0, 1e-19])
def test_a_frame_of_the_sky(unit: float) -> None:
    """Closer to HR than interpolation in any unit, without losing or shifting flux."""
    hr = unit * sky(160)
    lr = hr.reshape(80, 2, 80, 2).sum((1, 3)) / 4
    sr = {name: upscale(lr, model=name, scale=2) for name in (None, "lanczos", "bicubic")}
    errors = {name: float(np.std(each - hr)) for name, each in sr.items()}
    assert errors[None] < 0.8 * min(errors["lanczos"], errors["bicubic"])
    together = sr[None].reshape(80, 2, 80, 2).mean((1, 3))
    np.testing.assert_allclose(together, lr, rtol=1e-5, atol=1e-5 * float(lr.std()))


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-12])
def test_a_constant_frame_stays_constant(value: float) -> None:
    sr = upscale(np.full((20, 20), value, np.float32))
    np.testing.assert_allclose(sr, value, rtol=1e-6, atol=1e-30)


def test_included_weights_are_small() -> None:
    folder = Path(srkit_generators.__file__).parent / "weights"
    files = list(folder.glob("*.safetensors"))
    assert {file.stem for file in files} == {*SHIPPED, "rrdb_small_x4"}
    assert sum(file.stat().st_size for file in files) < 10e6
    for name, published in SHIPPED.items():
        fetch(name, published)  # verifies the checksum
        assert f"`{name}`" in (folder / "README.md").read_text()
