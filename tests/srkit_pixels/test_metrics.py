from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as Picture
from skimage.data import astronaut
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from srkit_pixels import metrics

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.functional.resizing import resize
from srkit.interfaces import Batch


def batch(hr: torch.Tensor, data_range: tuple[float, float] = (0.0, 1.0)) -> Batch:
    names = [str(i) for i in range(len(hr))]
    return Batch(names=names, hr=hr, seeds=range(len(hr)), data_range=data_range)


def images(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 24, 30, generator=torch.Generator().manual_seed(seed))


def test_metrics_are_registered(registry: Registry) -> None:
    assert {"psnr", "ssim", "mse", "mae"} <= set(registry.names("metrics"))


@pytest.mark.parametrize("name", ["psnr", "ssim", "mse", "mae"])
def test_metrics_refuse_images_of_different_shapes(registry: Registry, name: str) -> None:
    metric = build(registry.get("metrics", name).factory, {})
    with pytest.raises(ValueError, match=r"^SR has the shape 2 x 3 x 12 x 30 and HR 2 x 3 x 24 "):
        metric(images(0)[..., :12, :], batch(images(1)))


@pytest.mark.parametrize(("name", "higher"), [("psnr", 1), ("ssim", 1), ("mse", 0), ("mae", 0)])
def test_metrics_rank_images_in_the_stated_order(
    registry: Registry, name: str, higher: int
) -> None:
    metric = build(registry.get("metrics", name).factory, {})
    hr = images(0)[:1].expand(2, -1, -1, -1)
    strength = torch.tensor([0.01, 0.1]).view(2, 1, 1, 1)
    values = metric(hr + strength * (images(1) - 0.5), batch(hr))
    assert values.shape == (2,)
    assert (values[0] > values[1]) == metric.higher_is_better == bool(higher)


def test_data_range_does_not_change_psnr_and_ssim() -> None:
    sr, hr = images(0), images(1)
    for metric in (metrics.PSNR(quantize=True), metrics.SSIM(channel="y", crop=2)):
        expected = metric(sr, batch(hr))
        found = metric(8 * sr - 3, batch(8 * hr - 3, data_range=(-3.0, 5.0)))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_the_range_of_each_image_agrees_with_scikit_image() -> None:
    hr = images(1) * torch.tensor([2.0, 50.0]).view(2, 1, 1, 1) - 1
    sr = hr + 0.1 * (images(0) - 0.5)
    given = batch(hr, data_range=(0.0, 400.0))
    psnr = metrics.PSNR(range="image")(sr, given)
    ssim = metrics.SSIM(range="image")(sr, given)
    mse = metrics.MSE(range="image")(sr, given)
    for i in range(2):
        low, high = hr[i].min(), hr[i].max()
        restored, true = (((x[i] - low) / (high - low)).double().numpy() for x in (sr, hr))
        assert mse[i].item() == pytest.approx(mean_squared_error(true, restored), rel=1e-4)
        expected = peak_signal_noise_ratio(true, restored, data_range=1.0)
        assert psnr[i].item() == pytest.approx(expected, abs=1e-3)
        similar = [_similarity(t, r) for t, r in zip(true, restored, strict=True)]
        assert ssim[i].item() == pytest.approx(np.mean(similar), abs=1e-5)


def _similarity(true: np.ndarray, restored: np.ndarray) -> float:
    """Return the mean SSIM of scikit-image where the window lies within the image."""
    _, every = structural_similarity(
        true,
        restored,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(every[5:-5, 5:-5].mean())


@pytest.mark.parametrize("name", ["PSNR", "SSIM", "MSE"])
def test_the_range_of_a_constant_image_is_undefined(name: str) -> None:
    metric = getattr(metrics, name)(range="image")
    hr = torch.cat([torch.ones(1, 3, 24, 30), images(0)[:1]])
    found = metric(images(1), batch(hr))
    assert found.isnan().tolist() == [True, False]


def test_mse_is_in_the_unit_of_the_data() -> None:
    hr = torch.zeros(1, 1, 4, 4)
    assert metrics.MSE()(hr + 10, batch(hr, data_range=(0.0, 100.0))).item() == 100
    assert metrics.MAE()(hr + 10, batch(hr, data_range=(0.0, 100.0))).item() == 10


def test_a_star_does_not_set_the_peak_of_data_with_a_unit() -> None:
    """A data range of 1971 counts, set by one star, would call any restoration good."""
    hr = images(1)
    sr, wide = hr + 0.1, batch(hr, data_range=(0.0, 1971.0))
    assert metrics.PSNR()(sr, wide).min() > 80
    measured = replace(wide, unit="count / s")
    torch.testing.assert_close(
        metrics.PSNR()(sr, measured), metrics.PSNR(range="image")(sr, measured)
    )
    assert metrics.PSNR()(sr, measured).max() < 25
    torch.testing.assert_close(
        metrics.SSIM()(sr, measured), metrics.SSIM(range="image")(sr, measured)
    )
    stated = metrics.PSNR(range="data")
    torch.testing.assert_close(stated(sr, measured), metrics.PSNR()(sr, wide))


def test_protocols_describe_the_options() -> None:
    assert metrics.PSNR().protocol == (
        "all channels, not cropped, not rounded, peak = width of the data range; 1 for images "
        "with a unit, SR and HR normalised by the minimum and maximum of each HR image"
    )
    assert metrics.SSIM(channel="y", crop=4, quantize=True, range="data").protocol == (
        "Y of BT.601 (16 to 235), 4 pixels cropped, clipped and rounded to 8 bits, "
        "peak = width of the data range, Gaussian 11 x 11 window without padding"
    )
    assert metrics.PSNR(range="image").protocol == (
        "all channels, not cropped, not rounded, peak = 1, SR and HR normalised by the minimum and "
        "maximum of each HR image"
    )
    assert metrics.MSE(range="image").protocol == (
        "all channels, not cropped, not rounded, SR and HR normalised by the minimum and maximum "
        "of each HR image"
    )


def test_borders_are_cropped_by_the_scale() -> None:
    sr, hr = images(0), images(1)
    pair = replace(batch(hr), lr=torch.zeros(2, 3, 8, 10))
    expected = metrics.PSNR(channel="y", crop=3, quantize=True)(sr, batch(hr))
    torch.testing.assert_close(metrics.psnr_y()(sr, pair), expected)
    expected = metrics.SSIM(crop=3, quantize=True)(sr, batch(hr))
    torch.testing.assert_close(metrics.ssim_rgb()(sr, pair), expected)
    assert metrics.psnr_y().protocol == (
        "Y of BT.601 (16 to 235), as many pixels as the scale cropped, clipped and rounded to 8 "
        "bits, peak = width of the data range"
    )
    message = r"^crop 'scale' needs LR images; set a number of pixels instead$"
    with pytest.raises(ValueError, match=message):
        metrics.psnr_rgb()(sr, batch(hr))


def set5(shared: Path, scale: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield HR, cropped to a multiple of the scale, and LR of Set5, as bytes ``(1, 3, H, W)``."""
    for path in sorted((shared / "data" / "set5" / "HR").glob("*.png")):
        lr_path = shared / "data" / "set5" / f"X{scale}" / f"{path.stem}x{scale}.png"
        with Picture.open(path) as first, Picture.open(lr_path) as second:
            hr, lr = (
                torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]
                for picture in (first, second)
            )
        yield hr[..., : scale * lr.shape[-2], : scale * lr.shape[-1]], lr


@pytest.mark.shared
@pytest.mark.parametrize(("scale", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_down_and_up_on_set5_has_the_published_psnr(
    shared: Path, scale: int, published: float
) -> None:
    """The values of Lim et al. 2017, table 2, and others, for bicubic resizing of MATLAB."""
    metric = metrics.psnr_y()
    values = []
    for hr, _ in set5(shared, scale):
        lr = resize(hr, factor=1 / scale)
        sr = resize(lr, factor=scale)
        values.append(metric(sr / 255, replace(batch(hr / 255), lr=lr)).item())
    assert np.mean(values) == pytest.approx(published, abs=0.02)


@pytest.mark.shared
@pytest.mark.parametrize("channel", ["y", "rgb"])
def test_psnr_and_ssim_on_set5_agree_with_independent_computations(
    shared: Path, channel: str
) -> None:
    psnr, ssim = (
        (metrics.psnr_y(), metrics.ssim_y())
        if channel == "y"
        else (metrics.psnr_rgb(), metrics.ssim_rgb())
    )
    for hr, lr in set5(shared, 4):
        sr = resize(lr, factor=4)
        pair = replace(batch(hr / 255), lr=lr)
        x, y = (image[0].permute(1, 2, 0).double().numpy() for image in (sr, hr))
        if channel == "y":
            x, y = (z @ [65.481, 128.553, 24.966] / 255 + 16 for z in (x, y))
        x, y = (np.atleast_3d(z[4:-4, 4:-4]) for z in (x, y))
        expected = 10 * np.log10(255**2 / np.mean((x - y) ** 2))
        assert psnr(sr / 255, pair).item() == pytest.approx(expected, abs=0.001)
        maps = structural_similarity(
            x,
            y,
            data_range=255,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1]
        assert ssim(sr / 255, pair).item() == pytest.approx(maps[5:-5, 5:-5].mean(), abs=1e-5)


def published_psnr_and_ssim(sr: np.ndarray, hr: np.ndarray) -> tuple[float, float]:
    """The definitions of MATLAB and BasicSR on Y from 16 to 235, in double precision."""
    x, y = (16 + z.astype(float) @ [65.481, 128.553, 24.966] / 255 for z in (sr, hr))
    kernel = cv2.getGaussianKernel(11, 1.5)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(values, -1, kernel, kernel)[5:-5, 5:-5]

    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean(x) * mean(y) + first) * (2 * covariance + second)
    similar /= (mean(x) ** 2 + mean(y) ** 2 + first) * (variances + second)
    return 10 * np.log10(255**2 / np.mean((x - y) ** 2)), float(similar.mean())


@pytest.mark.parametrize("noise", [1, 20])
def test_psnr_and_ssim_of_y_equal_those_of_basicsr(noise: int) -> None:
    """Within 1e-4 dB and 1e-5: BasicSR differs from this definition by float32 only."""
    hr = astronaut()[50:202, 100:260]
    change = np.random.default_rng(0).normal(0, noise, hr.shape)
    sr = (hr + change).clip(0, 255).round().astype(np.uint8)
    psnr, ssim = published_psnr_and_ssim(sr[2:-2, 2:-2], hr[2:-2, 2:-2])
    first, second = (torch.from_numpy(z).permute(2, 0, 1)[None] / 255 for z in (sr, hr))
    pair = replace(batch(second), lr=second[..., ::2, ::2])
    assert metrics.psnr_y()(first, pair).item() == pytest.approx(psnr, abs=1e-4)
    assert metrics.ssim_y()(first, pair).item() == pytest.approx(ssim, abs=1e-5)


@pytest.mark.shared
def test_bicubic_on_set5_has_the_published_figures(shared: Path) -> None:
    """For bicubic x4: 28.42 dB and 0.8104 (Lim et al. 2017, on Y, cropped by the scale)."""
    psnr = metrics.PSNR(channel="y", crop=4, quantize=True)
    ssim = metrics.SSIM(channel="y", crop=4, quantize=True)
    values = []
    for path in sorted((shared / "data" / "set5" / "HR").glob("*.png")):
        with Picture.open(path) as picture:
            hr = picture.convert("RGB")
        with Picture.open(shared / "data" / "set5" / "X4" / f"{path.stem}x4.png") as picture:
            size = (4 * picture.width, 4 * picture.height)
            sr = picture.convert("RGB").resize(size, Picture.Resampling.BICUBIC)
        pixels = [
            torch.from_numpy(np.array(image.crop((0, 0, *size)))).permute(2, 0, 1)[None] / 255
            for image in (sr, hr)
        ]
        values.append([m(pixels[0], batch(pixels[1])).item() for m in (psnr, ssim)])
    # PIL uses the kernel of MATLAB with rounded weights.
    mean_psnr, mean_ssim = np.mean(values, 0)
    assert mean_psnr == pytest.approx(28.42, abs=0.02)
    assert mean_ssim == pytest.approx(0.8104, abs=0.001)
