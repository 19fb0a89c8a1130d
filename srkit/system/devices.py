"""The accelerator of this machine, of any kind: CUDA (and ROCm), MPS of Apple, XPU of Intel."""

from __future__ import annotations

import torch

from srkit.system.resources import free_memory


def default_device() -> torch.device:
    """Return the accelerator of this machine or, without one, the CPU."""
    found = torch.accelerator.is_available() and torch.accelerator.current_accelerator()
    return found or torch.device("cpu")


def device_of_rank(rank: int) -> str | None:
    """Return the accelerator of one of several processes, which share them; None without any."""
    count = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    return f"{default_device().type}:{rank % count}" if count else None


def synchronize(device: torch.device) -> None:
    """Wait until a device has computed what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def release_memory(device: torch.device) -> None:
    """Return the memory that torch keeps for later tensors on an accelerator to the device."""
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()


def memory_of(device: torch.device) -> int:
    """Return the bytes that are available on a device; MPS shares the memory of the CPU."""
    report = getattr(torch.get_device_module(device), "mem_get_info", None)
    return free_memory() if report is None else int(report(device)[0])
