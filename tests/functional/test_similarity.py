from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.data import astronaut, coffee
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as torchmetrics_psnr,
)

from srkit.functional import similarity as metrics


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Two photographs, and the same with noise: ``(2, 3, 96, 128)`` in [0, 1]."""
    pictures = [astronaut()[100:196, 150:278], coffee()[100:196, 200:328]]
    hr = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    generator = torch.Generator().manual_seed(0)
    strength = torch.tensor([0.02, 0.1]).view(2, 1, 1, 1)
    return hr + strength * torch.randn(hr.shape, generator=generator), hr


def arrays(images: torch.Tensor) -> list[Any]:
    return list(images.double().permute(0, 2, 3, 1).numpy())


def test_psnr_equals_skimage_and_torchmetrics() -> None:
    sr, hr = pair()
    found = metrics.psnr(sr, hr)
    skimage = [
        peak_signal_noise_ratio(y, x, data_range=1)
        for x, y in zip(arrays(sr), arrays(hr), strict=True)
    ]
    assert found.tolist() == pytest.approx(skimage, abs=1e-4)
    other = torchmetrics_psnr(sr, hr, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(found, other)


def test_ssim_equals_skimage() -> None:
    sr, hr = pair()
    expected = []
    for x, y in zip(arrays(sr), arrays(hr), strict=True):
        # Only windows within the image count: skimage's full map, less the border of 5 pixels.
        _, full = structural_similarity(
            x,
            y,
            data_range=1,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        expected.append(full[5:-5, 5:-5].mean())
    assert metrics.ssim(sr, hr).tolist() == pytest.approx(expected, abs=1e-5)


def test_luma_equals_skimage() -> None:
    _, hr = pair()
    expected = [rgb2ycbcr(image)[..., 0] / 255 for image in arrays(hr)]
    found = metrics.luma(hr)[:, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_luma_of_black_and_white() -> None:
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    assert (metrics.luma(images)[:, 0, 0, 0] * 255).tolist() == pytest.approx([16, 235])


def test_mse_and_mae_by_hand() -> None:
    hr = torch.zeros(2, 1, 2, 2)
    sr = torch.tensor([[[[1.0, -1.0], [2.0, 0.0]]], [[[0.5, 0.5], [0.5, 0.5]]]])
    assert metrics.mse(sr, hr).tolist() == [1.5, 0.25]
    assert metrics.mae(sr, hr).tolist() == [1.0, 0.5]


def test_identical_images() -> None:
    _, hr = pair()
    assert metrics.psnr(hr, hr).tolist() == [math.inf, math.inf]
    assert metrics.ssim(hr, hr).tolist() == pytest.approx([1, 1])
    black = torch.zeros(1, 3, 16, 16)
    assert metrics.ssim(black, black).item() == 1


@pytest.mark.parametrize("span", [1e-9, 2.0, 255.0])
def test_span_scales_with_the_images(span: float) -> None:
    sr, hr = pair()
    for measure in (metrics.psnr, metrics.ssim):
        torch.testing.assert_close(measure(span * sr, span * hr, span=span), measure(sr, hr))


def test_ssim_keeps_its_precision_under_autocast() -> None:
    sr, hr = pair()
    with torch.autocast("cpu", torch.bfloat16):
        found = metrics.ssim(sr, hr)
    torch.testing.assert_close(found, metrics.ssim(sr, hr))


def test_metric_input_applies_data_range_crop_and_rounding() -> None:
    images = torch.tensor([-1.5, -1.0, 0.002, 1.0, 1.5]).view(1, 1, 1, 5).expand(1, 1, 3, 5)
    plain = metrics.metric_input(images, data_range=(-1, 1))
    torch.testing.assert_close(plain[0, 0, 0], torch.tensor([-0.25, 0, 0.501, 1, 1.25]))
    rounded = metrics.metric_input(images, data_range=(-1, 1), quantize=True, crop=1)
    assert rounded.shape == (1, 1, 1, 3)
    assert (rounded * 255).flatten().tolist() == [0, 128, 255]


def test_metric_input_of_the_luma() -> None:
    _, hr = pair()
    found = metrics.metric_input(2 * hr - 1, data_range=(-1, 1), channel="y", crop=4)
    torch.testing.assert_close(found, metrics.luma(hr)[..., 4:-4, 4:-4])


@pytest.mark.parametrize("measure", [metrics.psnr, metrics.ssim, metrics.mse, metrics.mae])
def test_refuses_images_of_different_shapes(measure: Any) -> None:
    message = (
        r"^SR has the shape 2 x 3 x 32 x 32 and HR 2 x 3 x 33 x 32 \(N x C x H x W\); the shapes "
        r"must be equal$"
    )
    with pytest.raises(ValueError, match=message):
        measure(torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 33, 32))


def test_refuses_images_below_the_window() -> None:
    images = torch.zeros(1, 1, 10, 20)
    with pytest.raises(ValueError, match=r"^SSIM needs at least 11 x 11 pixels; got 10 x 20$"):
        metrics.ssim(images, images)


def test_refuses_a_crop_that_leaves_nothing() -> None:
    message = r"^a crop of 4 pixels leaves nothing of 8 x 20 pixels$"
    with pytest.raises(ValueError, match=message):
        metrics.metric_input(torch.zeros(1, 1, 8, 20), data_range=(0, 1), crop=4)


def test_refuses_the_luma_of_grey_images() -> None:
    with pytest.raises(ValueError, match=r"^channel 'y' needs RGB images; got 1 channel\(s\)$"):
        metrics.luma(torch.zeros(1, 1, 8, 8))
