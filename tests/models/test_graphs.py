"""Models as graphs that run without srkit, with the output of `srkit upscale`."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from export_setup import FLUX, SEEING, Moody, Plain, save_seeing, small
from network_setup import save_network
from torch import Tensor

from srkit.assembly.variance_head import VarianceHead
from srkit.components.registry import Registry
from srkit.errors import OutputError, PluginError
from srkit.interfaces import Image
from srkit.models.export import facts_of
from srkit.models.graphs import to_onnx, to_torch
from srkit.models.open import Model, open_model
from srkit.upscaling.upscaler import ImageUpscaler

FORMATS = {"onnx": to_onnx, "torch": to_torch}


def noise(channels: int, count: int, height: int, width: int) -> Tensor:
    """Return random images in the range of :data:`FLUX`."""
    images = torch.rand(
        count, channels, height, width, generator=torch.Generator().manual_seed(height)
    )
    return images * 2.5 - 0.5


def ask(content: bytes, lr: Tensor) -> Tensor:
    """Run a graph of either format."""
    (sr,) = ask_all(content, lr)
    return sr


def ask_all(content: bytes, lr: Tensor) -> list[Tensor]:
    """Run a graph of either format that may give several outputs."""
    if content.startswith(b"PK"):
        found = torch.export.load(io.BytesIO(content)).module()(lr)
        return [found] if isinstance(found, Tensor) else list(found)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(each) for each in session.run(None, {"lr": lr.numpy()})]


def upscaled(model: Model, lr: Tensor) -> Tensor:
    """Restore each image as `srkit upscale --precision fp32` does."""
    metadata = {"zero_point": model.quantity.zero_point}
    images = [Image(each, model.quantity.data_range, metadata) for each in lr]
    made = ImageUpscaler(model, precision="fp32").batch(images)
    return torch.stack([each.pixels for each in made])


@pytest.mark.slow
@pytest.mark.parametrize("name", [c.name for c in Registry.discover().components("generators")])
def test_every_generator_becomes_an_onnx_graph_for_any_size(name: str, registry: Registry) -> None:
    if name == "foreign":
        pytest.skip("is what a weight file says: tests/models/test_export.py has one")
    model = small(name, registry)
    content = to_onnx(model, {})
    for shape in ((1, 5, 8), (3, 20, 13)):
        lr = noise(3, *shape)
        # SPAN works on values up to 255.
        torch.testing.assert_close(ask(content, lr), upscaled(model, lr), atol=5e-5, rtol=1e-5)


# The conversion to ONNX, which is tested for every generator, begins with torch.export.
@pytest.mark.parametrize("name", ["mdsr", "rrdb"])
def test_a_generator_becomes_a_torch_graph_for_any_size(name: str, registry: Registry) -> None:
    model = small(name, registry)
    content = to_torch(model, {})
    for shape in ((1, 5, 8), (3, 20, 13)):
        lr = noise(3, *shape)
        torch.testing.assert_close(ask(content, lr), upscaled(model, lr), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file_format"), [*((name, "onnx") for name in SEEING), ("psf", "torch")]
)
def test_stretch_and_constraint_are_part_of_the_graph(
    name: str, file_format: str, tmp_path: Path, registry: Registry
) -> None:
    model = open_model(save_seeing(name, tmp_path / "seen.safetensors"), registry)
    content = FORMATS[file_format](model, {})
    lr = noise(1, 2, 11, 16)
    expected = upscaled(model, lr)
    torch.testing.assert_close(ask(content, lr), expected, atol=1e-4, rtol=1e-4)
    bare = upscaled(replace(model, stretch=None, constraint=None), lr)
    assert (bare - expected).abs().max() > 0.01  # differs from the network alone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stretch", "file_format", "apart"),
    [(None, "onnx", 1e-4), ("asinh", "onnx", 2e-4), ("log", "torch", 5e-3)],  # it has a kink at 0
)
def test_the_predicted_uncertainty_is_part_of_the_graph(
    stretch: str | None, file_format: str, apart: float, tmp_path: Path, registry: Registry
) -> None:
    seeing = {} if stretch is None else {"stretch": {"type": stretch, "peak": 2.0}}
    model = open_model(save_network(tmp_path / "a.safetensors", **seeing, quantity=FLUX), registry)
    torch.manual_seed(1)
    head = VarianceHead(channels=1, features=4).eval()
    torch.nn.init.normal_(head.tail.weight, std=3.0)
    model = replace(model, head=head)
    content = FORMATS[file_format](model, {})
    lr = noise(1, 2, 11, 16)
    made = ImageUpscaler(model, precision="fp32", uncertainty=True)
    image = Image(lr[1], FLUX.data_range, {"zero_point": FLUX.zero_point})
    sr, sigma = ask_all(content, lr)
    expected = made(image)
    assert expected.sigma is not None
    torch.testing.assert_close(sr[1], expected.pixels, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sigma[1], expected.sigma, atol=1e-6, rtol=apart)
    assert sigma.max() > 1.5 * sigma.min()  # or else a constant would do


@pytest.mark.slow
def test_the_metadata_of_an_onnx_file(tmp_path: Path, registry: Registry) -> None:
    model = open_model(save_seeing("psf", tmp_path / "seen.safetensors"), registry)
    facts = json.loads(json.dumps(facts_of(model)))
    proto = onnx.load_from_string(to_onnx(model, facts))
    onnx.checker.check_model(proto, full_check=True)
    assert proto.producer_name == "srkit"
    assert json.loads(next(e.value for e in proto.metadata_props if e.key == "srkit")) == facts
    assert facts["quantity"] == json.loads(json.dumps(FLUX.dump()))
    assert facts["recipe"]["stretch"]["type"] == "asinh"

    def shape(value: Any) -> list[str | int]:
        sides = value.type.tensor_type.shape.dim
        return [side.dim_param or side.dim_value for side in sides]

    assert [(v.name, shape(v)) for v in proto.graph.input] == [
        ("lr", ["batch", 1, "height", "width"])
    ]
    assert [(v.name, shape(v)) for v in proto.graph.output] == [
        ("sr", ["batch", 1, "2*height", "2*width"])
    ]


def test_the_metadata_of_a_torch_file(registry: Registry) -> None:
    model = replace(small("srcnn", registry), generator=Plain())
    extra, facts = {"srkit.json": ""}, json.loads(json.dumps(facts_of(model)))
    torch.export.load(io.BytesIO(to_torch(model, facts)), extra_files=extra)
    assert json.loads(extra["srkit.json"]) == facts


@pytest.mark.parametrize("file_format", FORMATS)
def test_networks_that_cannot_be_converted_are_reported(
    file_format: str, registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    model = replace(small("srcnn", registry), name="moody", generator=Moody())
    with pytest.raises(OutputError) as caught:
        FORMATS[file_format](model, {})
    text = str(caught.value)
    what = {"onnx": "an ONNX graph", "torch": "a torch.export graph"}[file_format]
    assert text.startswith(f"moody: cannot be converted to {what} (")
    assert text.endswith(")")
    assert "\n" not in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (
            2,
            r"srcnn: the output of its graph in onnxruntime differs from the network's by [\d.]+ "
            r"of the range of values; at most 0\.0001 is allowed",
        ),
        (
            1,
            r"srcnn: the output of its graph in onnxruntime has the shape \(2, 3, 17, 23\); "
            r"expected \(2, 3, 34, 46\)",
        ),
    ],
)
def test_a_graph_with_another_output_is_not_written(
    factor: int, message: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong:
        def __init__(self, content: bytes, providers: list[str]) -> None:
            del content, providers

        def run(self, names: list[str] | None, given: dict[str, Any]) -> list[Any]:
            return [given["lr"].repeat(factor, -1).repeat(factor, -2) + 0.25]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Wrong)
    model = replace(small("srcnn", registry), generator=Plain())
    with pytest.raises(OutputError, match=message):
        to_onnx(model, {})


def test_a_missing_package_is_reported(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PluginError) as caught:
        to_onnx(small("srcnn", registry), {})
    assert str(caught.value) == (
        "the package onnxruntime is not installed; install srkit[export]: "
        'pip install "srkit[export]"'
    )
