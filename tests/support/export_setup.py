"""Small models to export: one of every generator, and one for each stretch and constraint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from network_setup import save_network
from torch import Tensor, nn

from srkit import __version__
from srkit.components.registry import Registry
from srkit.interfaces.quantity import Quantity
from srkit.models.open import Model, fresh_model
from srkit.weights.checkpoints import save

#: Options that make each generator small. `foreign` is not included: its weight file determines
#: the network, see test_a_third_party_file in tests/models/test_export.py.
SMALL: dict[str, list[str]] = {
    "compact": ["blocks=1", "features=8"],
    "plksr": ["blocks=2", "features=8", "kernel=5"],
    "rcan": ["groups=1", "blocks=1", "features=8"],
    # Fresh weights give small values, whose rounding the other normalisation amplifies.
    "realplksr": ["blocks=2", "features=8", "kernel=5", "norm=layer"],
    "span": ["blocks=1", "features=8"],
    "swinir": ["groups=1", "blocks=2", "features=8", "heads=2", "window=4"],
    "edsr": ["blocks=1", "features=8"],
    "mdsr": ["blocks=1", "features=8"],
    "rdn": ["blocks=1", "features=8", "growth=4", "layers=2"],
    # Tracing its dense blocks takes long, and rdn has dense blocks, too.
    "rrdb": ["blocks=[residual x1]", "features=8"],
    "srcnn": [],
    "srresnet": ["blocks=1", "features=8"],
    "vdsr": ["depth=3", "features=8"],
}
PSF = {"type": "moffat", "fwhm": 0.3, "beta": 3}
#: Stretches and constraints around a network, by a name for the test.
SEEING: dict[str, dict[str, Any]] = {
    "measured": {
        "stretch": {"type": "log", "peak": "image", "offset": "image"},
        "constraint": {"type": "flux"},
    },
    "noise": {"stretch": {"type": "asinh", "peak": "noise", "offset": "image"}},
    "psf": {
        "stretch": {"type": "asinh", "peak": 2.0},
        "constraint": {"type": "flux", "psf": PSF, "source": {**PSF, "fwhm": 0.1}},
    },
}
#: The meaning of the values of these networks' images.
FLUX = Quantity("nanomaggy", 22.5, 0.05, (-0.5, 2.0))


def small(name: str, registry: Registry) -> Model:
    """Build a generator of scale 2 with fresh weights."""
    torch.manual_seed(0)
    return fresh_model(name, registry, SMALL[name], scale=2, channels=3)


def save_small(name: str, path: Path, registry: Registry) -> Path:
    """Save such a generator as a run does."""
    model = small(name, registry)
    assert model.recipe is not None
    state = {
        "recipe": model.recipe.dump(),
        "quantity": Quantity().dump(),
        "versions": {"srkit": __version__},
    }
    save(path, {"generator": model.generator.state_dict()}, state)
    return path


def save_seeing(name: str, path: Path) -> Path:
    """Save a network with a stretch and a constraint of :data:`SEEING`."""
    return save_network(path, **SEEING[name], quantity=FLUX)


class Plain(nn.Module):
    """Repeats pixels."""

    channels_last = False

    def forward(self, lr: Tensor) -> Tensor:
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


class Moody(nn.Module):
    """Its computation depends on the values of the image, which no graph can express."""

    channels_last = False

    def forward(self, lr: Tensor) -> Tensor:
        if lr.mean() > 0.5:
            lr = lr + 1
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
