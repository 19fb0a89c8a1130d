"""OpenVINO instead of torch: the same output, a cached graph, and clear errors."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_setup import Moody, small
from torch import Tensor, nn

import srkit.models.openvino
from srkit import Upscaler
from srkit.components.registry import Registry
from srkit.errors import OutputError, PluginError
from srkit.interfaces import Image
from srkit.models.open import Model
from srkit.models.openvino import OpenVINONetwork
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.fixture(scope="module")
def common_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cached(common_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep graphs in a folder that all tests share, so that few networks are converted."""
    monkeypatch.setenv("SRKIT_CACHE", str(common_cache))


@pytest.fixture
def cache(tmp_path: Path, _cached: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep graphs in a folder of the test."""
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(registry: Registry) -> Model:
    return small("edsr", registry)


@pytest.mark.parametrize("shape", [(1, 3, 8, 13), (4, 3, 21, 16), (1, 3, 1, 1)])
def test_the_output_is_that_of_torch(model: Model, shape: tuple[int, ...]) -> None:
    lr = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    found = OpenVINONetwork(model)
    torch.testing.assert_close(found(lr), model.generator(lr), atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = found(lr)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, model.generator(lr), atol=0.02, rtol=0.02)


def test_a_network_is_converted_once(
    model: Model, cache: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    first = OpenVINONetwork(model)
    (kept,) = (cache / "openvino").glob("*.onnx")
    lr = torch.rand(1, 3, 9, 9)
    with monkeypatch.context() as patched:
        patched.setattr(srkit.models.openvino, "to_onnx", lambda *_: pytest.fail("made again"))
        torch.testing.assert_close(OpenVINONetwork(model)(lr), first(lr), atol=0, rtol=0)
    torch.manual_seed(5)
    other = replace(model, generator=small("edsr", registry).generator)
    for weights in other.generator.parameters():
        weights.add_(0.01)
    torch.testing.assert_close(
        OpenVINONetwork(other)(lr), other.generator(lr), atol=1e-5, rtol=1e-5
    )
    assert len(list((cache / "openvino").glob("*.onnx"))) == 2
    kept.write_bytes(kept.read_bytes()[:1000])  # as after a disk error
    torch.testing.assert_close(OpenVINONetwork(model)(lr), first(lr), atol=0, rtol=0)


class Enlarging(nn.Module):
    """Repeats and brightens pixels; the factor is not part of its representation."""

    channels_last = False

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, lr: Tensor) -> Tensor:
        return self.factor * lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_a_network_with_changed_code_is_converted_again(model: Model) -> None:
    lr = torch.rand(1, 3, 4, 4)
    for factor in (1.0, 2.0):
        network = OpenVINONetwork(replace(model, generator=Enlarging(factor)))
        torch.testing.assert_close(network(lr), Enlarging(factor)(lr))


def test_pictures_and_frames_are_restored_as_by_torch(model: Model) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (33, 40, 3), dtype=np.uint8)
    one, other = (
        Upscaler(model, engine=engine, precision="fp32", tile=16)
        for engine in ("torch", "openvino")
    )
    assert np.abs(one(picture).astype(int) - other(picture)).max() <= 1
    frame = rng.normal(size=(3, 33, 40)).astype(np.float32)
    np.testing.assert_allclose(one(frame), other(frame), atol=1e-4)
    whole = Upscaler(model, engine="openvino", precision="fp32", tile=64)
    np.testing.assert_allclose(whole(frame), other(frame), atol=1e-5)
    sr, sigma = Upscaler(model, engine="openvino", uncertainty=True)(frame)
    expected = Upscaler(model, uncertainty=True)(frame)
    np.testing.assert_allclose(sr, expected[0], atol=1e-4)
    np.testing.assert_allclose(sigma, expected[1], atol=1e-4)


def test_an_interpolation_is_not_converted(cache: Path) -> None:
    levels = np.zeros((4, 4), np.uint8)
    assert Upscaler("bicubic", scale=2, engine="openvino")(levels).shape == (8, 8)
    assert not cache.exists()


def test_the_history_names_the_engine(model: Model) -> None:
    from srkit.upscaling.images import history

    lines = history(ImageUpscaler(model, engine="openvino"), {})
    assert "network run by openvino" in lines
    assert not any("run by" in line for line in history(ImageUpscaler(model), {}))


def test_a_network_that_cannot_be_converted_is_reported(model: Model) -> None:
    with pytest.raises(
        OutputError, match=r"^moody: cannot be converted to an ONNX graph \("
    ) as caught:
        ImageUpscaler(replace(model, name="moody", generator=Moody()), engine="openvino")
    assert str(caught.value).endswith("; run it by torch, without --engine")


def test_a_graph_with_another_output_is_not_used(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = OpenVINONetwork._compiled

    def wrong(self: OpenVINONetwork, *, rounded: bool) -> Any:
        run = compiled(self, rounded=rounded)
        return lambda lr: run(lr) + 0.01  # type: ignore[operator]

    monkeypatch.setattr(OpenVINONetwork, "_compiled", wrong)
    with pytest.raises(OutputError, match=r"in OpenVINO differs from the network's by 0\.01"):
        OpenVINONetwork(replace(model, generator=Enlarging(1.0)))


def test_wrong_settings_are_reported(model: Model) -> None:
    with pytest.raises(
        ValueError, match="the engine must be one of auto, torch, openvino; got 'tensorrt'"
    ):
        ImageUpscaler(model, engine="tensorrt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="runs on the CPU, got the device cuda"):
        ImageUpscaler(model, engine="openvino", device="cuda")


def test_a_cache_that_cannot_be_written_is_reported(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "file"))
    message = r"\(Not a directory\); .* or choose another folder with SRKIT_CACHE$"
    with pytest.raises(OutputError, match=message):
        OpenVINONetwork(replace(model, generator=Enlarging(1.0)))


def test_a_missing_package_is_reported(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(PluginError, match=r"install srkit\[openvino\]"):
        ImageUpscaler(model, engine="openvino")


def test_bytes_are_restored_in_bf16(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    compiled = OpenVINONetwork._compiled

    def note(self: OpenVINONetwork, *, rounded: bool) -> Any:
        asked.append(rounded)
        return compiled(self, rounded=rounded)

    monkeypatch.setattr(OpenVINONetwork, "_compiled", note)
    upscaler = ImageUpscaler(model, engine="openvino")
    assert asked == [False]  # tried in fp32
    upscaler(Image(torch.rand(3, 8, 8), metadata={"bits": 8}))
    assert asked == [False, True]


def test_the_engines_are_measured(model: Model, cache: Path) -> None:
    network = ImageUpscaler(model, engine="auto", device="cpu").network
    [kept] = (cache / "engines").iterdir()
    seconds = json.loads(kept.read_text())
    ratio = seconds["torch"] / seconds["openvino"]
    assert network.engine == ("openvino" if ratio >= 1.05 else "torch")
    assert network.notes == [
        f"{model.name}: run by {network.engine} (OpenVINO runs this network {ratio:.2f} times as "
        "fast as torch)"
    ]


def test_an_empty_output_is_an_error(model: Model) -> None:
    """OpenVINO returns one for bf16 on a processor without AVX512."""
    network = OpenVINONetwork(model)
    network._runs[True] = lambda lr: lr[..., :0]
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(OutputError, match="cannot compute"):
        network(torch.rand(1, 3, 8, 8))
