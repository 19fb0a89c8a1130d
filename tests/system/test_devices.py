"""The accelerator that is chosen, and what is asked of it; without one at hand, it is replaced."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

import srkit
from srkit.functional import capable_device
from srkit.system import devices
from srkit.system.memory import PeakMemory

CPU, MPS, CUDA = (torch.device(name) for name in ("cpu", "mps", "cuda"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace every accelerator by one that has two devices, and records what it is asked."""
    calls: list[str] = []

    def of(device: torch.device) -> SimpleNamespace:
        def record(name: str, answer: object = None) -> object:
            return lambda *_: calls.append(f"{device.type} {name}") or answer

        if device.type == "mps":
            return SimpleNamespace(
                empty_cache=record("empty_cache"), current_allocated_memory=record("current", 7)
            )
        return SimpleNamespace(
            empty_cache=record("empty_cache"),
            mem_get_info=record("free", (5, 9)),
            memory_allocated=record("allocated", 100),
            max_memory_allocated=record("most", 130),
            reset_peak_memory_stats=record("reset"),
        )

    monkeypatch.setattr(torch, "get_device_module", of)
    return calls


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_any_accelerator_is_chosen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert devices.default_device() == torch.device(kind)
    found = [devices.device_of_rank(rank) for rank in range(3)]
    assert found == [f"{kind}:0", f"{kind}:1", f"{kind}:0"]


def test_the_cpu_is_chosen_without_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    # torch for CUDA, on a machine without a GPU
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: CUDA)
    assert devices.default_device() == CPU
    assert devices.device_of_rank(0) is None
    devices.synchronize(CPU)
    devices.release_memory(CPU)


def test_memory_of_accelerators(asked: list[str]) -> None:
    assert devices.memory_of(CUDA) == 5
    assert devices.memory_of(MPS) > 2**20, "it shares the memory of the CPU"
    devices.release_memory(CUDA)
    devices.release_memory(MPS)
    assert asked == ["cuda free", "cuda empty_cache", "mps empty_cache"]
    with PeakMemory(CUDA) as found:
        pass
    assert found.peak == 30
    with PeakMemory(MPS) as found:
        pass
    assert found.peak == 0
    assert asked[-1] == "mps current"


def test_what_mps_lacks_runs_on_the_cpu() -> None:
    assert [capable_device(device) for device in (CPU, MPS, CUDA)] == [CPU, CPU, CUDA]
    assert srkit.__all__
    assert os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"
