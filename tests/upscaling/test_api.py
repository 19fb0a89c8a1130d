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
from srkit.errors import DataError, OutputError, WeightsError
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
        (3.5, "an object of the type float; expected a NumPy array, a tensor, a CCDData or"),
        (np.float32(1), "an array of shape (); expected an image, (H, W), (H, W, C) or (C, H,"),
        (np.zeros((9, 9, 9)), "an array of shape (9, 9, 9): the axis of the channels is ambiguous"),
        (torch.zeros(2), "a tensor of the shape (2,); expected an image, (H, W) or (C, H, W), or"),
        (torch.zeros(3, 0, 4), "a tensor of the shape (3, 0, 4); expected an image"),
        (np.full((4, 4), np.nan), "no pixel has a value: all are NaN or infinite"),
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
    with pytest.raises(ValueError, match=r"^the style must be faithful or enhanced; got 'vivid'$"):
        srkit.Upscaler(style="vivid")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^a style chooses the default model; give a style or a"):
        srkit.Upscaler("bicubic", style="enhanced")


def test_importing_srkit_imports_no_torch() -> None:
    code = "import sys, srkit; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_images() -> None:
    assert srkit.upscale([], model="bicubic", scale=2) == []
    with pytest.raises(DataError) as caught:
        srkit.upscale(torch.ones(0, 1, 8, 8), model="bicubic", scale=2)
    assert str(caught.value).startswith("a tensor of the shape (0, 1, 8, 8); expected an image")


def test_the_sum_of_flux_and_the_level_are_kept() -> None:
    """Values of arrays are a level unless they are said to be flux per pixel."""
    values = RNG.normal(5, 1, (6, 8))
    for given in (values, torch.from_numpy(values), np.ma.MaskedArray(values)):
        level = srkit.upscale(given, "nearest", scale=2)
        np.testing.assert_allclose(np.asarray(level), _twice(values), rtol=1e-6)
        stated = srkit.upscale(given, "nearest", scale=2, values="surface_brightness")
        np.testing.assert_array_equal(np.asarray(stated), np.asarray(level))
        flux = srkit.upscale(given, "nearest", scale=2, values="flux")
        assert type(flux) is type(given)
        assert float(flux.sum()) == pytest.approx(values.sum(), rel=1e-6)
    with pytest.raises(DataError, match=r"^levels of integers are not flux; convert"):
        srkit.upscale(np.ones((4, 4), np.uint8), "nearest", scale=2, values="flux")


def test_the_standard_deviation_of_flux(edsr: Model) -> None:
    values = RNG.random((6, 7, 3)).astype(np.float32)
    level = srkit.upscale(values, edsr, uncertainty=True)
    flux = srkit.upscale(values, edsr, uncertainty=True, values="flux")
    for one, other in zip(level, flux, strict=True):
        np.testing.assert_allclose(one, 4 * other, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("shape", [(5, 8), (5, 8, 4), (3, 5, 8), (2, 3, 5, 8)])
def test_masked_arrays(dtype: Any, shape: tuple[int, ...]) -> None:
    """What is under the mask has no effect, and the mask is enlarged."""
    values = RNG.integers(100, 200, shape).astype(dtype)
    mask = RNG.random(shape) > 0.8
    last = shape[-1] == 4
    axes = (0, 1) if len(shape) == 2 or last else (-2, -1)
    if last:
        values[..., 3], mask[..., 3] = 200, mask[..., :3].any(-1)
    found = srkit.upscale(np.ma.MaskedArray(values, mask, fill_value=7), "nearest", scale=2)
    other = np.where(mask, 50, values).astype(dtype)
    again = srkit.upscale(np.ma.MaskedArray(other, mask, fill_value=7), "nearest", scale=2)
    assert (found.dtype, found.fill_value) == (dtype, 7)
    if not (last and dtype == np.uint8):  # its last channel is the opacity
        np.testing.assert_array_equal(found.mask, _twice(mask, *axes))
    np.testing.assert_allclose(
        found.filled(0), np.where(found.mask, 0, _twice(values, *axes)), atol=1 if last else 1e-4
    )
    np.testing.assert_array_equal(found.filled(0), again.filled(0))


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("NHW", (3, 5, 8)),
        ("HWN", (5, 8, 3)),
        ("NCHW", (2, 3, 5, 8)),
        ("NHWC", (2, 5, 8, 3)),
        ("HW", (5, 8)),
        ("CHW", (9, 5, 8)),
        ("HWC", (5, 8, 9)),
        (None, (7, 3, 5, 8)),
        (None, (7, 5, 8, 3)),
    ],
)
@pytest.mark.parametrize("tensor", [False, True])
def test_stacks(axes: str | None, shape: tuple[int, ...], tensor: bool) -> None:
    """Each image of a stack is restored as if it were alone, in its own range."""
    if tensor and axes is None and shape[1] != 3:
        return  # (N, C, H, W) is the layout of tensors
    values = RNG.normal(0, 1, shape).astype(np.float32)
    given = torch.from_numpy(values) if tensor else values
    found = srkit.upscale(given, "nearest", scale=2, axes=axes)
    assert type(found) is type(given)
    letters = axes or ("NCHW" if shape[1] == 3 else "NHWC")
    places = letters.index("H"), letters.index("W")
    np.testing.assert_allclose(np.asarray(found), _twice(values, *places), atol=1e-6)
    if "N" in letters:
        first = found.swapaxes(0, letters.index("N"))[0]
        alone = srkit.upscale(
            given.swapaxes(0, letters.index("N"))[0],
            *("nearest",),
            scale=2,
            axes=letters.replace("N", "") if axes == "NHWC" else None,
        )
        np.testing.assert_array_equal(np.asarray(first), np.asarray(alone))


def test_axes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^the axes must be one of HW, HWC, CHW, with N for a st"):
        srkit.Upscaler("nearest", scale=2, axes="NXY")
    with pytest.raises(ValueError, match=r"^values must be flux or surface_brightness; got 'adu'$"):
        srkit.Upscaler("nearest", scale=2, values="adu")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"^an array of shape \(4, 4\): does not have the axes NHW"):
        srkit.upscale(np.ones((4, 4)), "nearest", scale=2, axes="NHW")
    with pytest.raises(DataError, match=r"state the axes in Python, such as axes='NHW' for a stac"):
        srkit.upscale(np.ones((9, 9, 9)), "nearest", scale=2)


def test_a_file_is_written_beside_its_source_or_elsewhere(tmp_path: Path) -> None:
    source = tmp_path / "photo [1].png"
    PIL.Image.fromarray(RNG.integers(0, 255, (5, 8, 3), dtype=np.uint8)).save(source)
    upscaler, reports = srkit.Upscaler("nearest", scale=2), list[tuple[int, int | None]]()
    path, notes = upscaler.write(source, report=lambda *pixels: reports.append(pixels))
    assert (path, notes) == (tmp_path / "photo [1]_x2.png", [])
    with PIL.Image.open(source) as lr, PIL.Image.open(path) as sr:
        assert np.array_equal(np.asarray(sr), _twice(np.asarray(lr)))
    assert reports[-1] == (40, 40)
    with pytest.raises(OutputError, match=r"x2\.png: already exists; set overwrite to replace it$"):
        upscaler.write(source)
    assert upscaler.write(source, overwrite=True)[0] == path
    assert upscaler.write(source, tmp_path / "a.tif")[0] == tmp_path / "a.tif"
    (tmp_path / "bad.png").write_bytes(b"xxx")
    with pytest.raises(DataError, match=r"bad\.png: begins with"):
        upscaler.write(tmp_path / "bad.png", tmp_path / "out.png")
