from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Srkit
from network_setup import save_network
from PIL import Image as Picture
from skimage.data import astronaut, chelsea, coffee
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from training_setup import extended

from srkit.components.registry import Registry
from srkit.errors import DataError, PluginError, SrkitError
from srkit.functional._self_ensemble import self_ensemble
from srkit.functional.resizing import resize
from srkit.images.formats import Formats
from srkit.interfaces import Batch
from srkit.models.open import open_model
from srkit.studies.metrics import build_metrics
from srkit.studies.ranking.measure import common_scale, default_metrics, rank
from srkit.studies.ranking.results import Ranking
from srkit.studies.ranking.testset import open_testset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write three photographs of 100 x 120 pixels and a network of scale 2."""
    folder = tmp_path_factory.mktemp("ranking")
    (folder / "set").mkdir()
    for picture in (astronaut, chelsea, coffee):
        Picture.fromarray(picture()[50:151, 100:220]).save(folder / f"set/{picture.__name__}.png")
    save_network(folder / "net.safetensors", channels=3)
    return folder


def ranked(
    folder: Path, formats: Formats, registry: Registry, *models: str, **options: Any
) -> Ranking:
    testset = open_testset(folder / "set", 2, formats)
    return rank(models, testset, registry, **{"metrics": ["psnr_rgb"], **options})


def psnr_by_hand(folder: Path, restore: Any) -> list[float]:
    """PSNR over all channels of 8-bit images, 2 pixels cropped, LR rounded to 8 bits."""
    values = []
    for path in sorted((folder / "set").glob("*.png")):
        with Picture.open(path) as picture:
            hr = np.array(picture)[:100, :120]
        pixels = torch.from_numpy(hr).permute(2, 0, 1)[None]
        sr = restore(resize(pixels, factor=0.5) / 255)[0].permute(1, 2, 0)
        levels = (sr.clamp(0, 1) * 255).round().numpy().astype(np.uint8)
        values.append(peak_signal_noise_ratio(hr[2:-2, 2:-2], levels[2:-2, 2:-2]))
    return values


@pytest.fixture(scope="module")
def found(folder: Path, formats: Formats, registry: Registry) -> Ranking:
    return ranked(folder, formats, registry, "nearest", "bicubic", "bilinear", examples=2)


def test_best_model_is_first(folder: Path, found: Ranking) -> None:
    assert [model.name for model in found.evaluation.models] == ["bicubic", "bilinear", "nearest"]
    assert found.evaluation.title == "set, scale 2"
    for model in found.evaluation.models:
        kernel: Any = model.name
        expected = psnr_by_hand(folder, lambda lr, k=kernel: resize(lr, factor=2, kernel=k))
        assert model.values["psnr_rgb"] == pytest.approx(expected, abs=1e-3)
    lead = found.leads["bicubic"]
    assert lead is not None
    means = [model.mean("psnr_rgb") for model in found.evaluation.models]
    assert lead.value == pytest.approx(means[0] - means[1])
    assert lead.low <= lead.value <= lead.high
    assert found.leads["nearest"] is None
    assert found.costs["nearest"].parameters == found.costs["nearest"].multiply_adds == 0


def test_metric_of_which_lower_is_better(
    folder: Path, formats: Formats, registry: Registry
) -> None:
    found = ranked(folder, formats, registry, "nearest", "bicubic", by="mae")
    assert [model.name for model in found.evaluation.models] == ["bicubic", "nearest"]
    assert [metric.name for metric in found.evaluation.metrics] == ["psnr_rgb", "mae"]
    lead = found.leads["bicubic"]
    assert lead is not None
    assert lead.value > 0


def test_network_and_its_self_ensemble(folder: Path, formats: Formats, registry: Registry) -> None:
    path = str(folder / "net.safetensors")
    found = ranked(folder, formats, registry, path, "bicubic", self_ensemble=True)
    assert {m.name for m in found.evaluation.models} == {"net", "net + self-ensemble", "bicubic"}
    network = open_model(path, registry).generator
    plain, ensemble = (found.evaluation.model(name) for name in ("net", "net + self-ensemble"))
    assert plain is not None and ensemble is not None
    with torch.no_grad():
        assert plain.values["psnr_rgb"] == pytest.approx(psnr_by_hand(folder, network), abs=1e-2)
        mean = psnr_by_hand(folder, lambda lr: self_ensemble(network, lr)[0])
    assert ensemble.values["psnr_rgb"] == pytest.approx(mean, abs=1e-2)
    # Convolutions 3x3: 3 to 4, three of 4 to 4 and 4 to 16 on LR; 4 to 3 on SR, which has 4 times
    # as many pixels.
    each = 9 * (3 * 4 + 3 * 4 * 4 + 4 * 16 + 4 * 4 * 3)
    cost = found.costs["net"]
    assert cost.multiply_adds == each * 1280 * 720 // 4
    assert found.costs["net + self-ensemble"].multiply_adds == 8 * cost.multiply_adds
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    assert cost.seconds > 0


def test_examples_are_the_same_square_of_all_models(found: Ranking) -> None:
    assert [example.index for example in found.examples] == [0, 2]
    for example in found.examples:
        assert set(example.models) == {"nearest", "bicubic", "bilinear"}
        assert example.hr.shape == (25, 30, 3)
        assert all(image.shape == example.hr.shape for image in example.models.values())
        np.testing.assert_array_equal(example.box.cut(example.whole), example.hr)
        np.testing.assert_array_equal(example.lr, example.models["nearest"])
        assert np.abs(example.models["bicubic"] - example.hr).mean() < 0.08


def test_equal_models_are_tied(
    folder: Path, formats: Formats, registry: Registry, tmp_path: Path
) -> None:
    path = folder / "net.safetensors"
    (tmp_path / "net.safetensors").write_bytes(path.read_bytes())
    twin = str(tmp_path / "net.safetensors")
    found = ranked(folder, formats, registry, str(path), twin, "bicubic")
    names = [model.name for model in found.evaluation.models]
    assert set(names) == {"net", f"net ({twin})", "bicubic"}
    assert found.ties == [("net", f"net ({twin})")]


def test_failed_models_are_reported_and_the_others_ranked(
    folder: Path, formats: Formats, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SRKIT_TRACEBACK", raising=False)
    wide = str(save_network(folder / "two.safetensors", channels=2))
    found = ranked(folder, formats, registry, "none.pt", wide, "bicubic")
    assert [model.name for model in found.evaluation.models] == ["bicubic"]
    assert list(found.failures) == ["none.pt", wide]
    assert found.failures["none.pt"].startswith("'none.pt' ")
    assert found.failures[wide].startswith("has 3 channels")


def test_error_if_all_models_fail(folder: Path, formats: Formats, registry: Registry) -> None:
    path = str(folder / "net.safetensors")
    with pytest.raises(SrkitError) as caught:
        rank([path], open_testset(folder / "set", 3, formats), registry, metrics=["psnr"])
    assert str(caught.value) == (
        f"no model could be ranked\n  {path}: {path}: a model of scale 2; expected scale 3"
    )


def test_error_for_an_image_that_cannot_be_measured(
    folder: Path, formats: Formats, registry: Registry, tmp_path: Path
) -> None:
    Picture.fromarray(astronaut()[:24, :13]).save(tmp_path / "small.png")
    testset = open_testset(tmp_path, 2, formats)
    with pytest.raises(DataError) as caught:
        rank(["bicubic"], testset, registry, metrics=["ssim_y"])
    assert str(caught.value) == (
        "metric 'ssim_y' on small.png: SSIM needs at least 11 x 11 pixels; got 20 x 8"
    )


class Power:
    """Mean difference to some power."""

    higher_is_better, unit = False, ""

    def __init__(self, *, exponent: int) -> None:
        self.exponent, self.protocol = exponent, f"power {exponent}"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        return (sr - batch.hr).abs().pow(self.exponent).mean((1, 2, 3))


class OfAll(Power):
    """A metric without a value of an image."""

    def pool(self, parts: Sequence[Any]) -> tuple[Sequence[float], float]:
        return [0.0] * len(parts), 0.0


def test_a_slash_sets_the_only_required_option() -> None:
    registry = extended(metrics={"power": Power, "all": OfAll})
    built = build_metrics(["power/3", "mae"], registry, 2, 3)
    assert list(built) == ["power/3", "mae"]
    assert built["power/3"].protocol == "power 3"
    problems = {
        "power": "metric 'power' requires exponent; write power/EXPONENT, or use 'srkit eval'",
        "power/x": "metric 'power'.exponent: got 'x'; expected a valid integer",
        "all/1": "metric 'all/1' has no value of an image; use 'srkit eval'",
        "artefact_share": "metric 'artefact_share' compares with another network; use 'srkit eval'",
    }
    for name, problem in problems.items():
        with pytest.raises(PluginError) as caught:
            build_metrics([name], registry, 2, 3)
        assert str(caught.value) == problem


def test_error_for_metrics_that_are_unknown_or_need_a_teacher(
    folder: Path, formats: Formats, registry: Registry
) -> None:
    with pytest.raises(PluginError, match=r"did you mean 'psnr_y'\?$"):
        ranked(folder, formats, registry, "bicubic", metrics=["psnry"])
    message = r"^metric 'accuracy' needs a teacher; use 'srkit eval' to measure it$"
    with pytest.raises(PluginError, match=message):
        ranked(folder, formats, registry, "bicubic", metrics=["accuracy"])


def test_default_metrics_need_no_download(
    folder: Path,
    formats: Formats,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    pair = open_testset(folder / "set", 2, formats)[0]
    names = ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "niqe"]
    assert default_metrics(pair, registry) == names
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    assert default_metrics(pair, registry) == [*names[:4], "lpips", "niqe"]


def test_default_metrics_of_measured_values(
    formats: Formats, registry: Registry, tmp_path: Path
) -> None:
    from astropy.io import fits

    values = np.random.default_rng(0).normal(10, 3, (40, 48)).astype(np.float32)
    fits.PrimaryHDU(values).writeto(tmp_path / "a.fits")
    found = rank(["bicubic", "nearest"], open_testset(tmp_path, 2, formats), registry)
    assert [metric.name for metric in found.evaluation.metrics] == ["psnr", "ssim", "mae"]
    assert found.ties == []
    assert "A single image cannot show whether models are tied." in found.evaluation.notes


def test_scale_is_that_of_the_first_network(folder: Path, registry: Registry) -> None:
    path = str(folder / "net.safetensors")
    assert common_scale(["bicubic", "none.pt", path], registry) == 2
    with pytest.raises(
        DataError, match=r"^no model determines the scale; add, for example, --scale 4$"
    ):
        common_scale(["bicubic"], registry)
    with pytest.raises(SrkitError, match=r"^'none\.pt' is not a run folder"):
        common_scale(["bicubic", "none.pt", "neither.pt"], registry)


def test_command(folder: Path, srkit: Srkit, tmp_path: Path) -> None:
    network = folder / "net.safetensors"
    done = srkit("rank", "bicubic", network, "--on", folder / "set", "--metrics", "psnr_y, mae")
    assert done.status == 0, done.err
    assert "set, scale 2: by psnr_y" in done.out
    out = tmp_path / "runs" / "rank-set-x2"
    assert sorted(path.name for path in out.iterdir()) == [
        "cost.png",
        "per_image.csv",
        "ranking.csv",
        "ranking.html",
        "ranking.json",
        "sheet.png",
    ]
    arguments = ("bicubic", "none.pt", "--scale", "2", "--metrics", "mae", "--out", "there")
    done = srkit("rank", *arguments, "--on", folder / "set")
    assert done.status == 1
    assert "failed none.pt: 'none.pt' " in done.out
    summary = json.loads((tmp_path / "there" / "ranking.json").read_text("utf-8"))
    assert list(summary["failures"]) == ["none.pt"]
    assert summary["by"] == "mae"
