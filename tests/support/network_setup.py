"""A checkpoint of a small untrained network, for tests that read a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from srkit_generators.edsr import EDSR

from srkit import __version__
from srkit.components.options import build
from srkit.interfaces.quantity import Quantity
from srkit.weights.checkpoints import save

#: The meaning of the values of photographs.
PHOTOGRAPHS = Quantity()


def save_network(
    path: Path, channels: int = 1, quantity: Quantity = PHOTOGRAPHS, **changes: Any
) -> Path:
    """Save a network of scale 2 as a run does, with further keys of its recipe."""
    options = {"blocks": 1, "features": 4}
    torch.manual_seed(0)
    generator = build(EDSR, options, scale=2, channels=channels)
    recipe = {
        "name": "l2",
        "scale": 2,
        "channels": channels,
        "generator": {"type": "edsr", **options},
        "losses": {"mse": {"type": "mse"}},
        **changes,
    }
    state = {
        "recipe": recipe,
        "quantity": quantity.dump(),
        "versions": {"srkit": __version__},
    }
    save(path, {"generator": generator.state_dict()}, state)
    return path
