"""Resizing compared with MATLAB and Pillow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from srkit.functional.resizing import Kernel, resize, resize_mask, resized_side, to_hr_grid
from srkit.interfaces import Batch

PILLOW = {
    "bilinear": PIL.Image.Resampling.BILINEAR,
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "lanczos": PIL.Image.Resampling.LANCZOS,
    "area": PIL.Image.Resampling.BOX,
}


def _read(path: Path) -> Tensor:
    with PIL.Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]


@pytest.mark.shared
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bytes_equal_matlabs_imresize(shared: Path, scale: int) -> None:
    for path in sorted((shared / "data/set5/HR").glob("*.png")):
        hr = _read(path)
        height, width = (side // scale * scale for side in hr.shape[-2:])
        lr = resize(hr[..., :height, :width], factor=1 / scale)
        expected = _read(shared / f"data/set5/X{scale}" / f"{path.stem}x{scale}.png")
        assert torch.equal(lr, expected), path


@pytest.mark.shared
def test_floats_equal_matlabs_bytes_except_for_rounding(shared: Path) -> None:
    hr = _read(shared / "data/set5/HR/head.png").double()
    expected = _read(shared / "data/set5/X4/headx4.png")
    # imresize also rounds bytes between the axes, by half a grey level.
    assert (resize(hr, factor=0.25) - expected).abs().max() < 1.2


@pytest.mark.parametrize("kernel", list(PILLOW))
@pytest.mark.parametrize("size", [(17, 12), (40, 33), (90, 100)])
def test_agrees_with_pillow_away_from_the_border(kernel: Kernel, size: tuple[int, int]) -> None:
    image = torch.rand(50, 60, generator=torch.Generator().manual_seed(1))
    picture = PIL.Image.fromarray(image.numpy()).resize(size[::-1], PILLOW[kernel])
    ours = resize(image[None, None], size, kernel=kernel)[0, 0]
    # Pillow ignores pixels beyond the border; imresize mirrors the image.
    margin = [slice(new // 5 + 1, -(new // 5) - 1) for new in size]
    expected = torch.from_numpy(np.array(picture))
    torch.testing.assert_close(ours[*margin], expected[*margin], atol=2e-5, rtol=0)


@pytest.mark.parametrize("kernel", ["nearest", *PILLOW])
@pytest.mark.parametrize("factor", [0.32, 0.4, 0.5, 1.0, 1.28, 3.0])
def test_constant_images_stay_constant(kernel: Kernel, factor: float) -> None:
    image = torch.full((1, 2, 25, 19), 0.7)
    result = resize(image, factor=factor, kernel=kernel)
    torch.testing.assert_close(result, torch.full_like(result, 0.7))


def test_factor_one_is_the_identity() -> None:
    image = torch.rand(1, 3, 9, 11)
    for kernel in ("nearest", "bilinear", "bicubic", "area", "lanczos"):
        torch.testing.assert_close(resize(image, factor=1.0, kernel=kernel), image)


def test_area_averages_blocks_and_nearest_repeats_pixels() -> None:
    image = torch.rand(2, 3, 12, 18)
    blocks = torch.nn.functional.avg_pool2d(image, 3)
    torch.testing.assert_close(resize(image, factor=1 / 3, kernel="area"), blocks)
    enlarged = image.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(resize(image, factor=2.0, kernel="nearest"), enlarged)


@pytest.mark.parametrize(
    ("side", "factor", "expected"),
    [(256, 0.32, 82), (255, 1 / 3, 85), (49, 1 / 49, 1), (3, 0.1, 1)],
)
def test_sides_are_rounded_up_despite_float_errors(side: int, factor: float, expected: int) -> None:
    assert resized_side(side, factor) == expected


def test_a_factor_aligns_grids_that_the_ratio_of_sides_does_not() -> None:
    ramp = torch.arange(256.0).expand(1, 1, 256, 256)
    lr = resize(ramp, factor=0.32)
    back = resize(lr, (256, 256), factor=1 / 0.32)
    torch.testing.assert_close(
        back[..., 20:-20, 20:-20], ramp[..., 20:-20, 20:-20], atol=1e-2, rtol=0
    )


def test_gradient_is_the_transposed_map() -> None:
    image = torch.rand(1, 1, 7, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize(x, factor=0.64), (image,))


def test_weights_cached_in_inference_mode_pass_gradients() -> None:
    image = torch.rand(1, 1, 31, 37)
    with torch.inference_mode():
        resize(image, factor=0.77)
    resize(image.requires_grad_(), factor=0.77).sum().backward()
    assert image.grad is not None


def test_autocast_and_half_precision_compute_in_float32() -> None:
    image = torch.rand(1, 3, 40, 40)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(resize(image, factor=0.5), resize(image.clone(), factor=0.5))
    half = resize(image.bfloat16(), factor=0.5)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, resize(image.bfloat16().float(), factor=0.5).bfloat16())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give a size, a factor or both"),
        ({"factor": 0.0}, "the factor must be positive, got 0.0"),
        ({"size": (0, 4)}, r"the size must be positive, got \(0, 4\)"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resize(torch.zeros(1, 1, 4, 4), **arguments)  # type: ignore[arg-type]


def test_bad_shape() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, C, H, W\) images, got the shape \(4, 4\)"):
        resize(torch.zeros(4, 4), factor=0.5)


def test_a_resized_mask_is_aligned_with_the_image() -> None:
    mask = torch.zeros(1, 4, 6, dtype=torch.bool)
    mask[0, 1, 4] = True
    assert resize_mask(mask, (8, 12)).nonzero().tolist() == [
        [0, y, x] for y in (2, 3) for x in (8, 9)
    ]
    assert resize_mask(mask, (2, 3)).sum() <= 1


# --- to the grid of HR ---------------------------------------------------------------------


def test_images_on_the_grid_of_hr_are_not_changed() -> None:
    hr = torch.rand(4, 3, 32, 32)
    batch = Batch(["a", "b", "c", "d"], hr, [0, 1, 2, 3], lr=hr[..., ::2, ::2], factor=0.5)
    sr = torch.rand(4, 3, 32, 32)
    assert to_hr_grid(sr, batch) is sr
    assert to_hr_grid(sr, replace(batch, factor=None)) is sr


def test_images_are_resized_to_hr_by_the_exact_factor() -> None:
    # 0.32 x 33 = 10.56 gives 11 LR pixels, whose SR of 44 spans 44 / 1.28 = 34.375 HR pixels.
    hr = torch.rand(1, 3, 33, 33)
    lr = resize(hr, factor=0.32)
    batch = Batch(["a"], hr, [0], lr=lr, factor=0.32)
    sr = torch.rand(1, 3, 44, 44)
    expected = resize(sr, (33, 33), factor=1 / (4 * 0.32))
    torch.testing.assert_close(to_hr_grid(sr, batch), expected)
    torch.testing.assert_close(
        to_hr_grid(lr, batch, "bilinear"),
        resize(lr, (33, 33), factor=1 / 0.32, kernel="bilinear"),
    )


def test_a_ramp_is_not_shifted_when_sr_is_resized_to_hr() -> None:
    """An independent check of the geometry: an image of its own coordinates is not shifted."""
    positions = (torch.arange(50) + 0.5).expand(1, 3, 50, 50)
    lr = resize(positions, factor=0.31)
    batch = Batch(["a"], positions, [0], lr=lr, factor=0.31)
    sr = resize(lr, factor=4.0)
    inner = slice(12, -12)
    found = to_hr_grid(sr, batch)[..., inner, inner]
    torch.testing.assert_close(found, positions[..., inner, inner], atol=0.02, rtol=0)


def test_real_pairs_are_aligned_by_their_sides() -> None:
    hr = torch.rand(4, 3, 32, 32)
    batch = Batch(["a", "b", "c", "d"], hr, [0, 1, 2, 3], lr=hr[..., ::2, ::2])
    sr = torch.rand(4, 3, 40, 40)
    found = to_hr_grid(sr, batch)
    torch.testing.assert_close(found, resize(sr, (32, 32)))
