"""Double precision, which some accelerators lack."""

from __future__ import annotations

import torch


def float64_device(device: torch.device) -> torch.device:
    """Return the device, or the CPU for a device that has no float64, as MPS of Apple.

    Parameters
    ----------
    device
        Where the tensors are.

    Returns
    -------
    torch.device
        Where to compute with them in float64.
    """
    return torch.device("cpu") if device.type == "mps" else device
