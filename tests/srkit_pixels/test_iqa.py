"""Metrics of pyiqa: by a stand-in for the package, and by the package itself where installed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from scipy.ndimage import correlate
from srkit_pixels import iqa
from torch import Tensor, nn

from srkit.errors import PluginError, WeightsError
from srkit.interfaces import Batch, PooledMetric
from srkit.testing import check_metric


def images(seed: int, channels: int = 3, side: int = 48) -> Tensor:
    """Two images of whole grey levels, ``(2, C, side, side)`` in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, channels, side, side), generator=generator) / 255


def batch(hr: Tensor, data_range: tuple[float, float] = (0.0, 1.0)) -> Batch:
    return Batch(["a", "b"], hr, [0, 1], lr=hr[..., ::2, ::2], data_range=data_range)


class Standin(nn.Module):
    """A metric as pyiqa's: mean absolute difference, brightness, or difference of two folders."""

    def __init__(self, name: str) -> None:
        super().__init__()
        print("Downloading")
        self.name = name

    def forward(self, first: Any, second: Any = None, **options: Any) -> Any:
        if self.name == "fid":
            assert options == {"num_workers": 0, "verbose": False}
            return mean_of(first) - mean_of(second)
        if self.name == "inception_score":
            return {"inception_score_mean": mean_of(first), "inception_score_std": 0.0}
        assert len(first) == 1
        assert first.shape[1] == 3
        if first.shape[-1] < 8:
            raise AssertionError("too small\nfor this")
        found = (first - second).abs().mean() if self.name == "lpips" else first.mean()
        return found[None, None] if self.name == "lpips" else {"musiq": found}["musiq"]


def mean_of(folder: str) -> float:
    return float(np.mean([np.array(Pillow.open(path)) for path in Path(folder).iterdir()]))


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Install the stand-in; the function lets its metrics raise an error when they are built."""
    package, table = ModuleType("pyiqa"), ModuleType("pyiqa.default_model_configs")
    full, alone = {"metric_mode": "FR", "lower_better": True}, {"metric_mode": "NR"}
    table.DEFAULT_CONFIGS = {  # type: ignore[attr-defined]
        "lpips": {**full, "metric_opts": {"type": "LPIPS", "net": "alex"}},
        "musiq": {**alone, "metric_opts": {"type": "MUSIQ"}},
        "fid": {**alone, "lower_better": True, "metric_opts": {"type": "FID"}},
        "inception_score": {**alone, "metric_opts": {"type": "InceptionScore"}},
        "psnr": {"metric_mode": "FR", "metric_opts": {"type": "PSNR"}},
    }
    problems: list[Exception] = []

    def create_metric(name: str, device: torch.device) -> Standin:
        if problems:
            raise problems[0]
        return Standin(name)

    package.create_metric = create_metric  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    monkeypatch.setitem(sys.modules, "pyiqa.default_model_configs", table)
    monkeypatch.setattr(iqa, "version", lambda _: "1.2")
    return problems.append


@pytest.mark.usefixtures("standin")
def test_direction_unit_and_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    lpips, musiq = iqa.pyiqa(name="lpips"), iqa.pyiqa(name="musiq", crop="scale")
    assert (lpips.higher_is_better, musiq.higher_is_better) == (False, True)
    assert (lpips.unit, iqa.pyiqa(name="psnr").unit) == ("", "dB")
    assert lpips.protocol == (
        "pyiqa 1.2, lpips of SR and HR (type=LPIPS, net=alex), grey as RGB, not cropped, clipped "
        "and rounded to 8 bits, peak = width of the data range"
    )
    assert musiq.protocol == (
        "pyiqa 1.2, musiq of SR alone (type=MUSIQ), grey as RGB, as many pixels as the scale "
        "cropped, clipped and rounded to 8 bits, peak = width of the data range"
    )
    check_metric(lpips)
    assert capsys.readouterr().out == ""  # standard output is for results


@pytest.mark.usefixtures("standin")
def test_images_are_cropped_scaled_clipped_and_rounded() -> None:
    sr, hr = 1.2 * images(0) - 0.1, images(1)
    found = iqa.pyiqa(name="lpips", crop="scale")(
        200 * sr - 100, batch(200 * hr - 100, (-100, 100))
    )
    inside = (..., slice(2, -2), slice(2, -2))
    expected = ((sr.clamp(0, 1) * 255).round() / 255 - hr)[inside].abs().mean((1, 2, 3))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    grey = images(0, channels=1)
    found = iqa.pyiqa(name="musiq")(grey, batch(grey))
    torch.testing.assert_close(found, grey.mean((1, 2, 3)))


@pytest.mark.usefixtures("standin")
def test_metrics_of_sets_see_folders_of_all_images() -> None:
    metric = iqa.pyiqa(name="fid", crop=1)
    assert isinstance(metric, PooledMetric)
    parts = [*metric(images(0), batch(images(1))), *metric(images(2), batch(images(3)))]
    values, whole = metric.pool(parts)
    means = [float(images(seed)[..., 1:-1, 1:-1].mean()) * 255 for seed in range(4)]
    assert whole == pytest.approx((means[0] + means[2] - means[1] - means[3]) / 2, abs=1e-3)
    assert len(values) == 4
    assert all(map(math.isnan, values))
    score = iqa.pyiqa(name="inception_score")
    assert isinstance(score, PooledMetric)
    alone = score.pool(score(images(0), batch(images(1))))[1]
    assert alone == pytest.approx(float(images(0).mean()) * 255, abs=1e-3)


@pytest.mark.usefixtures("standin")
def test_images_that_it_cannot_measure() -> None:
    metric = iqa.pyiqa(name="lpips")
    with pytest.raises(ValueError) as caught:
        metric(images(0, side=6), batch(images(1, side=6)))
    assert str(caught.value) == "pyiqa's lpips cannot measure an image of 6 x 6 pixels: too small"
    with pytest.raises(ValueError) as caught:
        metric(images(0, channels=2), batch(images(1, channels=2)))
    assert str(caught.value) == "pyiqa's lpips needs RGB or grey images; got 2 channels"


@pytest.mark.usefixtures("standin")
def test_an_unknown_name() -> None:
    with pytest.raises(ValueError) as caught:
        iqa.pyiqa(name="muisq")
    assert str(caught.value) == "name: pyiqa has no metric 'muisq'; did you mean 'musiq'?"


def test_weights_that_cannot_be_downloaded(standin: Callable[[Exception], None]) -> None:
    downloads: Any = iqa.pyiqa
    assert downloads.downloads(name="psnr", crop=0) == []
    assert downloads.downloads(name="musiq", crop=0) == [f"{iqa.WEIGHTS} (musiq)"]
    standin(OSError("no route\nto host"))
    with pytest.raises(WeightsError) as caught:
        iqa.pyiqa(name="musiq")
    assert str(caught.value) == (
        "the weights of pyiqa's musiq could not be downloaded (no route to host); build it once on "
        f"a machine with a network, and copy {torch.hub.get_dir()} and Hugging Face's cache"
    )


def test_packages_that_are_missing(
    standin: Callable[[Exception], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    standin(ModuleNotFoundError("No module named 'transformers'", name="transformers"))
    with pytest.raises(PluginError) as caught:
        iqa.pyiqa(name="musiq")
    assert str(caught.value) == (
        "pyiqa's musiq needs the package transformers, which is not installed: "
        'pip install "srkit[iqa]"'
    )
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    monkeypatch.setitem(sys.modules, "pyiqa.default_model_configs", None)
    downloads: Any = iqa.pyiqa
    for build in (iqa.pyiqa, downloads.downloads):
        with pytest.raises(PluginError) as caught:
            build(name="psnr")
        assert str(caught.value) == (
            'the package pyiqa is not installed; install srkit[iqa]: pip install "srkit[iqa]"'
        )


# --- the package itself ---------------------------------------------------------------------


def gmsd(sr: np.ndarray, hr: np.ndarray) -> float:
    """Xue et al. 2014 on luma of 0 to 255, halved by means of 2 x 2 pixels."""
    prewitt = np.array([[1, 0, -1]] * 3) / 3
    sides = []
    for image in (sr, hr):
        # pyiqa's luma is that of YIQ, rounded.
        luma = np.round(255 * np.tensordot([0.299, 0.587, 0.114], image, 1))
        halved = luma.reshape(len(luma) // 2, 2, -1, 2).mean((1, 3))
        along = [correlate(halved, kernel, mode="constant") for kernel in (prewitt, prewitt.T)]
        sides.append(np.hypot(*along))
    similar = (2 * sides[0] * sides[1] + 170) / (sides[0] ** 2 + sides[1] ** 2 + 170)
    return float(similar.std(ddof=1))


def test_psnr_and_ssim_of_pyiqa_agree_with_srkit() -> None:
    pytest.importorskip("pyiqa", reason="the extra `iqa` is not installed")
    from srkit.functional import psnr, ssim

    sr, hr = images(0), images(1)
    sr = torch.lerp(hr, sr, 0.1).mul(255).round() / 255
    found = iqa.pyiqa(name="psnr")(sr, batch(hr))
    torch.testing.assert_close(found, psnr(sr, hr), atol=1e-3, rtol=0)
    found = iqa.pyiqa(name="ssimc")(sr, batch(hr))
    torch.testing.assert_close(found, ssim(sr, hr), atol=1e-4, rtol=0)


def test_gmsd_of_pyiqa_agrees_with_its_paper() -> None:
    pytest.importorskip("pyiqa", reason="the extra `iqa` is not installed")
    hr = images(1)
    sr = torch.lerp(hr, images(0), 0.3).mul(255).round() / 255
    metric = iqa.pyiqa(name="gmsd")
    assert not metric.higher_is_better
    found = metric(sr, batch(hr))
    expected = [gmsd(*map(Tensor.numpy, pair)) for pair in zip(sr, hr, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=2e-2)


@pytest.mark.parametrize("name", ["vif", "nlpd", "vsi", "fsim", "entropy", "piqe"])
def test_metrics_without_weights(name: str) -> None:
    pytest.importorskip("pyiqa", reason="the extra `iqa` is not installed")
    import pyiqa

    sr, hr = images(0, side=96), images(1, side=96)
    found = iqa.pyiqa(name=name)(sr, batch(hr))
    direct = pyiqa.create_metric(name, device=torch.device("cpu"))
    given = (sr, hr) if direct.metric_mode == "FR" else (sr,)
    expected = torch.cat([direct(*(each[i : i + 1] for each in given)).reshape(1) for i in (0, 1)])
    torch.testing.assert_close(found, expected.float())
