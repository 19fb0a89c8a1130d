"""The model that is taken where none is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file
from srkit_generators.edsr import EDSR

import srkit
from srkit.defaults import default_model, kind_of
from srkit.downloading import digest_of
from srkit.errors import WeightsError
from srkit.interfaces import Image, Published
from srkit.models import open_model
from srkit.registry import Registry


def published(scale: int, kind: Any) -> Published:
    return Published("package:a/b", "0" * 64, "MIT", {"scale": scale}, default_for=kind)


class Net(EDSR):
    """A network with weights for several scales."""

    published: ClassVar[Mapping[str, Published]] = {
        "p2": published(2, "pictures"),
        "p4": published(4, "pictures"),
        "p3": published(3, "pictures"),
        "f2": published(2, "frames"),
        "other": published(2, None),
    }


class Plugin:
    """Offers one generator."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    @srkit.hookimpl
    def srkit_generators(self) -> Mapping[str, Any]:
        """Offer it."""
        return {"net": self.factory}


def offering(factory: Any) -> Registry:
    registry = Registry()
    registry.register(Plugin(factory), "nets", distribution="nets")
    return registry


@pytest.mark.parametrize(
    ("kind", "wanted", "name"),
    [
        ("pictures", 2, "p2"),
        ("pictures", 1.5, "p2"),
        ("pictures", 2.1, "p3"),
        ("pictures", 4, "p4"),
        ("pictures", 7, "p4"),
        ("frames", 4, "f2"),
    ],
)
def test_the_smallest_scale_that_is_enough(kind: Any, wanted: float, name: str) -> None:
    assert default_model(kind, wanted, offering(Net)) == name


def test_without_any() -> None:
    with pytest.raises(
        WeightsError, match=r"^no plugin offers a model for frames; name one \(-m\)$"
    ):
        default_model("frames", 2, offering(EDSR))


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"bits": 8}, "pictures"),
        ({"bits": 16}, "pictures"),
        ({"bits": 32}, "frames"),
        ({}, "frames"),
    ],
)
def test_levels_are_pictures_and_numbers_are_frames(metadata: dict[str, Any], kind: str) -> None:
    assert kind_of(Image(torch.zeros(1, 2, 2), metadata=metadata)) == kind


def test_weights_bring_their_stretch_and_constraint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    options = {"blocks": 1, "features": 4}
    file = tmp_path / "some_nets" / "net.safetensors"
    file.parent.mkdir()
    (file.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    save_file(EDSR(scale=2, channels=1, blocks=1, features=4).state_dict(), file)
    weights = Published(
        "package:some_nets/net.safetensors",
        digest_of(file),
        "Apache-2.0",
        {"scale": 2, "channels": 1, **options},
        {"stretch": {"type": "asinh", "peak": "noise"}, "constraint": {"type": "flux"}},
    )
    monkeypatch.setattr(EDSR, "published", {"sky": weights})
    model = open_model("sky", registry)
    assert model.stretch is not None
    assert model.stretch.unitless
    assert model.constraint is not None
