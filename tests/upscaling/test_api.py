"""Arrays, tensors and other images, restored from Python."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import srkit
from srkit.components.registry import Registry
from srkit.errors import DataError, WeightsError
from srkit.models.open import Model, fresh_model

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def edsr() -> Model:
    torch.manual_seed(0)
    options = ["blocks=2", "features=8"]
    return fresh_model("edsr", Registry.discover(), options, scale=2, channels=3)


def _twice(values: np.ndarray, *axes: int) -> np.ndarray:
    for axis in axes or (0, 1):
        values = values.repeat(2, axis)
    return values


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "axes"), [((5, 8), (0, 1)), ((5, 8, 4), (0, 1)), ((3, 5, 8), (1, 2))]
)
def test_arrays(dtype: Any, shape: tuple[int, ...], axes: tuple[int, int]) -> None:
    values = RNG.integers(0, 200, shape).astype(dtype)
    if shape[-1] == 4:
        values[..., 3] = 200  # opaque enough for colours to come back exactly
    found = srkit.upscale(values, "nearest", scale=2)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, _twice(values, *axes), atol=1 if shape[-1] == 4 else 1e-4)


def test_defaults_of_several_images() -> None:
    """Each image of a list is restored by the network for its kind, as if it were alone."""
    levels = RNG.integers(0, 255, (12, 9, 3), dtype=np.uint8)
    colours = (levels / 255).astype(np.float32)
    values = RNG.normal(5, 1, (12, 9)).astype(np.float32)
    images = (levels, values, colours, 9 * colours)
    models = ("edsr_small_x2", "sky_x2", "edsr_small_x2", "edsr_small_x2")
    for image, model, found in zip(images, models, srkit.upscale(list(images)), strict=True):
        np.testing.assert_allclose(found, srkit.upscale(image, model), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(5, 8), (3, 5, 8), (2, 3, 5, 8), (1, 1, 5, 8)])
def test_tensors(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    values = torch.from_numpy(RNG.integers(0, 200, shape)).to(dtype)
    found = srkit.upscale(values, "nearest", scale=2)
    assert (found.dtype, found.device) == (dtype, values.device)
    expected = values.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-6)


def test_a_path_gives_an_array(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (5, 8, 3), dtype=np.uint8)
    PIL.Image.fromarray(values).save(tmp_path / "a.png")
    found = srkit.upscale(tmp_path / "a.png", "nearest", width=16)
    np.testing.assert_array_equal(found, _twice(values))
    assert srkit.upscale(str(tmp_path / "a.png"), "bicubic", megapixels=0.001).shape == (25, 40, 3)


def test_a_list_of_different_types_keeps_its_order(edsr: Model) -> None:
    upscaler = srkit.Upscaler(edsr, precision="fp32")
    images = [
        RNG.random((6, 7, 3)).astype(np.float32),
        torch.rand(3, 9, 4),
        RNG.random((6, 7, 3)).astype(np.float32),
        RNG.integers(0, 256, (6, 7, 4), dtype=np.uint8),
        RNG.random((6, 7)).astype(np.float32),
    ]
    found = upscaler(images)
    for image, sr in zip(images, found, strict=True):
        alone = upscaler(image)
        assert type(sr) is type(image)
        np.testing.assert_allclose(np.asarray(sr), np.asarray(alone), atol=1e-5)
    assert upscaler([]) == []


def test_small_images_pass_through_the_network_together(edsr: Model) -> None:
    seen: list[int] = []
    hook = edsr.generator.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    upscaler = srkit.Upscaler(edsr, precision="fp32")
    cutouts = torch.rand(40, 3, 32, 64)
    together = upscaler(cutouts)
    assert seen == [32, 8]  # 256 x 256 pixels at most
    hook.remove()
    alone = torch.stack([upscaler(cutout) for cutout in cutouts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_threads_share_an_upscaler(edsr: Model) -> None:
    upscaler = srkit.Upscaler(edsr, precision="fp32", width=150)
    images = [RNG.random((70 + index, 80, 3)).astype(np.float32) for index in range(8)]
    expected = [srkit.Upscaler(edsr, precision="fp32", width=150)(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(upscaler, images))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_standard_deviation_is_returned(edsr: Model) -> None:
    values = RNG.random((6, 7, 3)).astype(np.float32)
    sr, sigma = srkit.upscale(values, edsr, uncertainty=True)
    assert sr.shape == sigma.shape == (12, 14, 3)
    assert (sigma > 0).all()
    batch, spread = srkit.upscale(
        torch.from_numpy(values).movedim(-1, 0)[None], edsr, uncertainty=True
    )
    np.testing.assert_allclose(batch[0].movedim(0, -1), sr, atol=1e-5)
    np.testing.assert_allclose(spread[0].movedim(0, -1), sigma, atol=1e-5)


def test_a_bare_network() -> None:
    network, model = srkit.load_model("bicubic", scale=3)
    assert network(torch.rand(2, 5, 4, 6)).shape == (2, 5, 12, 18)
    assert (model.name, model.scale, model.channels) == ("bicubic", 3, None)
    with pytest.raises(WeightsError, match=r"^'no_such' is not a run folder, weight file,"):
        srkit.load_model("no_such")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3.5, "an object of the type float; expected a NumPy array, a tensor, a CCDData, a path,"),
        (np.float32(1), "an array of shape (); expected an image, (H, W), (H, W, C) or (C, H,"),
        (np.zeros((9, 9, 9)), "an array of shape (9, 9, 9): the axis of the channels is ambiguous"),
        (torch.zeros(2), "a tensor of the shape (2,); expected an image, (H, W) or (C, H, W), or"),
        (torch.zeros(3, 0, 4), "a tensor of the shape (3, 0, 4); expected an image"),
        (np.full((4, 4), np.nan), "no pixel has a value: all are NaN or infinite"),
        (
            np.ma.masked_equal(np.eye(4), 0),
            "a masked array, whose mask would be lost; fill it,",
        ),
        ("absent.png", "absent.png: no such file"),
    ],
)
def test_invalid_images(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        srkit.upscale(value, "bicubic", scale=2)


def test_invalid_settings() -> None:
    with pytest.raises(ValueError, match=r"^got scale and width; give only one of them"):
        srkit.Upscaler("bicubic", scale=2, width=50)
    with pytest.raises(ValueError, match=r"^the tile must be positive, got 0$"):
        srkit.Upscaler("bicubic", tile=0)


def test_importing_srkit_imports_no_torch() -> None:
    code = "import sys, srkit; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_images() -> None:
    assert srkit.upscale([], model="bicubic", scale=2) == []
    with pytest.raises(DataError) as caught:
        srkit.upscale(torch.ones(0, 1, 8, 8), model="bicubic", scale=2)
    assert str(caught.value).startswith("a tensor of the shape (0, 1, 8, 8); expected an image")
