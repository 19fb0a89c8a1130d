"""Weights remember the plugins that trained them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from network_setup import PHOTOGRAPHS
from srkit_generators.edsr import EDSR

from srkit import __version__, hookimpl
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.models.export import facts_of
from srkit.models.open import open_model
from srkit.weights.checkpoints import plugins_of, save


def registry_of(version: str) -> Registry:
    """Discover what is installed, and a version of a plugin that offers a network."""

    class Clouds:
        @hookimpl
        def srkit_generators(self) -> dict[str, Any]:
            return {"clouds": EDSR}

    registry = Registry.discover()
    registry.register(Clouds(), "clouds", distribution="srkit-clouds", version=version)
    return registry


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint that srkit-clouds 1.0 trained."""
    options = {"blocks": 1, "features": 4}
    generator = build(EDSR, options, scale=2, channels=1)
    network = {"type": "clouds", **options}
    state = {
        "recipe": {"name": "sky", "scale": 2, "channels": 1, "generator": network},
        "quantity": PHOTOGRAPHS.dump(),
        "versions": {"srkit": __version__, "torch": torch.__version__, "srkit-clouds": "1.0"},
    }
    path = tmp_path / "clouds.safetensors"
    save(path, {"generator": generator.state_dict()}, state)
    return path


def test_the_same_version_needs_no_note(checkpoint: Path) -> None:
    model = open_model(checkpoint, registry_of("1.0"))
    assert (model.notes, model.plugins) == ((), {"srkit-clouds": "1.0"})


def test_another_version_is_reported(checkpoint: Path) -> None:
    model = open_model(checkpoint, registry_of("2.0"))
    assert list(model.notes) == [
        f"{checkpoint}: trained with srkit-clouds 1.0, but srkit-clouds 2.0 is installed; its "
        "components may have changed"
    ]
    assert plugins_of(facts_of(model)) == {"srkit-clouds": "1.0"}  # an export remembers, too


def test_a_missing_plugin_is_named(checkpoint: Path, registry: Registry) -> None:
    with pytest.raises(RecipeError) as caught:
        open_model(checkpoint, registry)
    assert caught.value.problems[0].startswith("generator.type: unknown generator 'clouds'")
    assert caught.value.problems[1] == (
        "it was trained with srkit-clouds 1.0, which is not installed; install it"
    )
