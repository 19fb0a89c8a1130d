"""The precision that a device computes fastest, decided by what the device can do."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import pytest
import torch

from srkit.system.precision import (
    Precision,
    fastest_precision,
    trains_in_channels_last,
    warn_of_precision,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture(autouse=True)
def _undecided(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Decide again in each test, by default for an x86 processor with instructions for bf16."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    fastest_precision.cache_clear()
    yield
    fastest_precision.cache_clear()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        # Measured on a processor with AVX512 and bf16: how bf16 compares with fp32 in an RRDB.
        ("", "bf16"),  # 2.2 times as fast
        ("AVX512_CORE_BF16", "bf16"),  # 1.9
        ("AVX512_CORE_AMX", "bf16"),
        ("AVX512_CORE", "fp32"),  # 0.43
        ("avx2", "fp32"),  # 0.16, or 0.01 in contiguous memory
        ("AVX2_VNNI", "fp32"),  # 0.16
    ],
)
@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_limits_of_onednn_are_respected(
    limit: str, expected: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, limit)
    assert fastest_precision(CPU)[0] == expected


def test_an_x86_processor_needs_instructions_for_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert fastest_precision(CPU) == ("fp32", "the processor has no instructions for bf16")


def test_without_onednn_bf16_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert fastest_precision(CPU)[0] == "fp32"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp32")])
def test_an_arm_processor_is_asked_by_onednn(
    supported: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    assert fastest_precision(CPU)[0] == expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((6, 1), "fp32"), ((7, 0), "fp16"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")],
)
def test_gpus_are_chosen_by_their_compute_capability(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    reason = f"the GPU has compute capability {capability[0]}.{capability[1]}"
    assert fastest_precision(GPU) == (expected, reason)


def test_gpus_of_amd_compute_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert fastest_precision(GPU)[0] == "bf16"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp32")])
def test_gpus_of_intel_are_asked(
    supported: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(including_emulation: bool) -> bool:
        return supported or including_emulation

    monkeypatch.setattr(torch.xpu, "is_bf16_supported", answer)
    assert fastest_precision(torch.device("xpu"))[0] == expected


def test_apple_gpus_compute_fp32() -> None:
    assert fastest_precision(torch.device("mps"))[0] == "fp32"


@pytest.mark.parametrize(
    ("machine", "avx512", "limit", "precision", "expected"),
    [
        # Measured in an RRDB: the speed in channels_last relative to that in contiguous memory.
        ("x86_64", True, "", "fp32", True),  # 1.06
        ("x86_64", True, "AVX2", "fp32", False),  # 0.90
        ("x86_64", False, "", "fp32", False),
        ("x86_64", False, "", "bf16", True),
        ("arm64", False, "", "fp32", True),
    ],
)
def test_fp32_is_trained_in_contiguous_memory_without_avx512(
    machine: str,
    avx512: bool,
    limit: str,
    precision: Precision,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: avx512)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert trains_in_channels_last(CPU, precision) == expected
    assert trains_in_channels_last(GPU, precision)


def test_only_a_slow_precision_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warn_of_precision("bf16", CPU) == []
    fastest_precision.cache_clear()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert warn_of_precision("fp32", CPU) == warn_of_precision("auto", CPU) == []
    assert warn_of_precision("bf16", CPU) == [
        "bf16 is slow on this device (oneDNN is limited to AVX2, without instructions for bf16); "
        "auto takes fp32"
    ]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert warn_of_precision("bf16", GPU) == [
        "bf16 is slow on this device (the GPU has compute capability 7.5); auto takes fp16"
    ]
