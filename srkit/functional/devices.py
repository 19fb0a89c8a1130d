"""What some accelerators lack."""

from __future__ import annotations

import torch


def capable_device(device: torch.device) -> torch.device:
    """Return the device, or the CPU for MPS of Apple, which lacks float64 and Poisson noise.

    torch runs other operations that MPS lacks on the CPU by itself, but it cannot convert float64,
    nor random generators.

    Parameters
    ----------
    device
        Where the tensors are.

    Returns
    -------
    torch.device
        Where to compute in float64, or to draw Poisson noise.
    """
    return torch.device("cpu") if device.type == "mps" else device
