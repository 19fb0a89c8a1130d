"""The faster engine, as measured at the first use of a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from export_setup import small

from srkit.components.registry import Registry
from srkit.errors import OutputError
from srkit.models import engines
from srkit.models.engines import fastest_engine
from srkit.models.open import Model
from srkit.upscaling.size import Size
from srkit.upscaling.upscaler import ImageUpscaler
from srkit.upscaling.upscalers import Upscalers


@pytest.fixture
def model(registry: Registry) -> Model:
    return small("edsr", registry)


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the measurement, in which OpenVINO wins; return the precisions that it was for."""
    asked: list[str] = []

    def measure(model: Model, network: object, precision: str) -> dict[str, float]:
        asked.append(precision)
        return {"torch": 3.0, "openvino": 2.0}

    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "find_spec", lambda name: name)
    monkeypatch.setattr(engines, "version", lambda name: "2026.1")
    monkeypatch.setattr(engines, "_measure", measure)
    return asked


def test_a_network_is_measured_once_in_each_precision(model: Model, measured: list[str]) -> None:
    expected = "openvino", "OpenVINO runs this network 1.50 times as fast as torch"
    for precision in ("bf16", "bf16", "fp32", "bf16"):
        assert fastest_engine(model, model.generator, precision) == expected  # type: ignore[arg-type]
    assert measured == ["bf16", "fp32"]


@pytest.mark.parametrize("changed", ["network", "processor", "version"])
def test_what_affects_the_speed_is_measured_again(
    changed: str,
    model: Model,
    measured: list[str],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fastest_engine(model, model.generator, "fp32")
    retrained = replace(model, generator=small("edsr", registry).generator)
    fastest_engine(retrained, retrained.generator, "fp32")
    assert len(measured) == 1  # other weights are as fast
    if changed == "network":
        model = small("rrdb", registry)
    elif changed == "processor":
        monkeypatch.setattr(engines, "_processor", lambda: "another")
    else:
        monkeypatch.setattr(engines, "version", lambda name: "2026.2")
    fastest_engine(model, model.generator, "fp32")
    assert len(measured) == 2


def test_a_damaged_result_is_measured_again(
    model: Model, measured: list[str], tmp_path: Path
) -> None:
    for content in ("{", '{"torch": 1}', "[]", '{"torch": "x", "openvino": 2}'):
        fastest_engine(model, model.generator, "fp32")
        [path] = (tmp_path / "cache" / "engines").iterdir()
        path.write_text(content)
    assert fastest_engine(model, model.generator, "fp32")[0] == "openvino"
    assert len(measured) == 5


@pytest.mark.parametrize(("seconds", "expected"), [(1.9, "openvino"), (1.99, "torch")])
def test_a_short_lead_is_not_enough(
    seconds: float, expected: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_measure", lambda *a: {"torch": 2.0, "openvino": seconds})
    assert fastest_engine(model, model.generator, "fp32")[0] == expected


def test_without_openvino_torch_runs_the_network(
    model: Model, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "onnx" else name)
    expected = "torch", "OpenVINO is not installed: pip install 'srkit[openvino]'"
    assert fastest_engine(model, model.generator, "fp32") == expected
    assert not measured


def test_a_network_that_openvino_cannot_run_is_run_by_torch(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*asked: object) -> dict[str, float]:
        raise OutputError("'edsr' has no graph")

    monkeypatch.setattr(engines, "_measure", fail)
    expected = "torch", "OpenVINO cannot run this network: 'edsr' has no graph"
    assert fastest_engine(model, model.generator, "fp32") == expected


def test_the_choice_is_reported(
    model: Model, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_measure", lambda *a: {"torch": 2.0, "openvino": 4.0})
    upscalers = Upscalers(model, registry, Size(), engine="auto", precision="fp32", device="cpu")
    assert upscalers.notes == [
        f"{model.name}: run by torch (OpenVINO runs this network 0.50 times as fast as torch)"
    ]


def test_gpus_are_used_without_a_measurement(model: Model, measured: list[str]) -> None:
    assert ImageUpscaler(model, engine="auto", device="meta").network.engine == "torch"
    assert not measured
