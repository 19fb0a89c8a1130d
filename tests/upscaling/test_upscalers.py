"""The model and scale that an image is restored with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from safetensors.torch import save_file
from srkit_generators.edsr import EDSR
from typer.testing import CliRunner

import srkit
from srkit.assembly.published import published_models
from srkit.cli import app
from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.interfaces import Image, Published, Style
from srkit.models.open import Model, fresh_model, native_scale, open_model
from srkit.system.digests import digest_of_file
from srkit.upscaling.size import Size
from srkit.upscaling.upscalers import Upscalers, default_model, kind_of
from srkit.weights.files import is_cached


def published(scale: int, kind: Any, style: Style = "faithful") -> Published:
    address = "package:a/b", "0" * 64, "MIT", {"scale": scale}
    return Published(*address, default_for=kind, style=style)


class Net(EDSR):
    """A network with weights for several scales."""

    published: ClassVar[Mapping[str, Published]] = {
        "p2": published(2, "pictures"),
        "p4": published(4, "pictures"),
        "p3": published(3, "pictures"),
        "f2": published(2, "frames"),
        "e4": published(4, "pictures", "enhanced"),
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
def test_the_smallest_sufficient_scale_is_chosen(kind: Any, wanted: float, name: str) -> None:
    assert default_model(kind, wanted, offering(Net)) == name


@pytest.mark.parametrize("wanted", [2, 4, 8])
def test_a_style_has_its_own_models(wanted: float) -> None:
    assert default_model("pictures", wanted, offering(Net), "enhanced") == "e4"


def test_no_default_model_in_a_style() -> None:
    with pytest.raises(WeightsError) as caught:
        default_model("frames", 2, offering(Net), "enhanced")
    assert str(caught.value) == (
        "there is no default model for frames in the style enhanced; choose the style faithful, or "
        "name one (-m): a run folder, a weight file, or an interpolation such as bicubic"
    )


def test_no_default_model() -> None:
    with pytest.raises(WeightsError) as caught:
        default_model("frames", 2, offering(type("Bare", (EDSR,), {"published": {}})))
    assert str(caught.value) == (
        "there is no default model for frames; name one (-m): a run folder, a weight file, or an "
        "interpolation such as bicubic"
    )


@pytest.mark.parametrize(
    ("metadata", "channels", "kind"),
    [
        ({"bits": 8}, 1, "pictures"),
        ({"bits": 16}, 3, "pictures"),
        ({"bits": 32}, 1, "frames"),
        ({"bits": 32}, 3, "pictures"),
        ({"bits": 32}, 5, "frames"),
        ({"bits": 32, "frame": True}, 3, "frames"),
        ({}, 1, "frames"),
    ],
)
def test_levels_and_colours_are_pictures(
    metadata: dict[str, Any], channels: int, kind: str
) -> None:
    assert kind_of(Image(torch.zeros(channels, 2, 2), metadata=metadata)) == kind


def test_published_weights_have_a_stretch_and_a_constraint(
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
        digest_of_file(file),
        "Apache-2.0",
        {"scale": 2, "channels": 1, **options},
        {"stretch": {"type": "asinh", "peak": "noise"}, "constraint": {"type": "flux"}},
    )
    monkeypatch.setattr(EDSR, "published", {"sky": weights})
    model = open_model("sky", registry)
    assert model.stretch is not None
    assert model.stretch.unitless
    assert model.constraint is not None


@pytest.fixture
def shipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Networks that repeat pixels: for pictures at 2 and 3, for frames at 2."""
    package = tmp_path / f"nets_of_{tmp_path.name}"  # imported once
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    shipped: dict[str, Published] = {}
    for kind, scale, channels in (("pictures", 2, 3), ("pictures", 3, 3), ("frames", 2, 1)):
        name = f"{kind}_{scale}"
        options: dict[str, Any] = {"blocks": 1, "features": 4, "global_residual": True}
        network = EDSR(scale=scale, channels=channels, upsampler="direct", **options)
        file = package / f"{name}.safetensors"
        save_file({key: torch.zeros_like(t) for key, t in network.state_dict().items()}, file)
        settings = {"scale": scale, "channels": channels, "upsampler": "direct", **options}
        url = f"package:{package.name}/{name}.safetensors"
        shipped[name] = Published(
            url,
            digest_of_file(file),
            "MIT",
            settings,
            default_for=kind,  # type: ignore[arg-type]
        )
    return offering(type("Shipping", (EDSR,), {"published": shipped}))


def test_the_default_model_depends_on_kind_and_scale(shipping: Registry) -> None:
    picture = Image(torch.rand(3, 6, 8), metadata={"bits": 8})
    frame = Image(torch.randn(1, 6, 8), (-3.0, 3.0), {"frame": True})
    plain = Upscalers(None, shipping, Size())
    assert plain.label == "x2"
    assert [plain.for_image(each).model.name for each in (picture, frame)] == [
        "pictures_2",
        "frames_2",
    ]
    assert plain.for_image(picture) is not plain.for_image(frame)
    wide = Upscalers(None, shipping, Size(width=20))
    assert wide.label == "w20"
    chosen = wide.for_image(picture)
    assert (chosen.model.name, chosen.scale) == ("pictures_3", 2.5)
    assert chosen(picture).pixels.shape == (3, 15, 20)


def test_settings_are_checked_at_once(shipping: Registry) -> None:
    with pytest.raises(ValueError, match=r"^the tile must be positive, got 0$"):
        Upscalers(None, shipping, Size(), tile=0)


def test_python_and_command_line_need_no_model(
    shipping: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = torch.randint(256, (6, 8, 3), dtype=torch.uint8).numpy()
    expected = srkit.upscale(levels, model="pictures_2", registry=shipping)
    assert np.array_equal(srkit.upscale(levels, registry=shipping), expected)
    installed = Registry.discover()
    installed.register(Plugin(shipping.get("generators", "net").factory), "n", distribution="n")
    monkeypatch.setattr(Registry, "discover", lambda: installed)
    monkeypatch.chdir(tmp_path)
    Pictures.fromarray(levels).save("a.png")
    found = CliRunner().invoke(app, ["upscale", "a.png", "--scale", "3"])
    assert found.exit_code == 0, found.output
    with Pictures.open("a_x3.png") as sr:
        assert sr.size == (24, 18)


def test_the_default_models_need_no_download(registry: Registry) -> None:
    for wanted in (2, 3, 4):
        name = default_model("pictures", wanted, registry)
        _, weights = published_models(registry)[name]
        assert is_cached(weights)
        assert open_model(name, registry).channels == 3


def image(height: int, width: int) -> Image:
    return Image(torch.zeros(1, height, width))


def test_interpolations_have_the_next_integer_scale() -> None:
    upscalers = Upscalers("bicubic", Registry.discover(), Size(width=70))
    first, again = upscalers.for_image(image(9, 20)), upscalers.for_image(image(30, 20))
    assert (first.model.scale, first.scale) == (4, 3.5)
    assert first.model is again.model
    assert upscalers.for_image(image(9, 100)).model.scale == 1


def test_the_scale_of_the_model_is_the_default() -> None:
    opened = open_model("lanczos", Registry.discover(), scale=3)
    upscaler = Upscalers(opened, Registry.discover(), Size()).for_image(image(5, 5))
    assert upscaler.scale == 3
    assert Upscalers(opened, Registry.discover(), Size(8)).for_image(image(5, 5)).model is opened


def test_the_nearest_scale_of_several() -> None:
    registry = Registry.discover()
    generator = registry.get("generators", "mdsr").factory(
        scales=(2, 3, 4), channels=3, blocks=1, features=4
    )
    model = Model("mdsr", generator.eval(), 2, 3)
    assert [native_scale(model, wanted) for wanted in (0.5, 2, 2.1, 3.5, 9)] == [2, 2, 3, 4, 4]
    single = fresh_model("edsr", registry, ["blocks=1", "features=4"], scale=2, channels=3)
    assert native_scale(single, 3.5) == 2


def test_upscalers_of_several_scales_measure_the_network_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = fresh_model(
        "edsr", Registry.discover(), ["blocks=1", "features=4"], scale=2, channels=1
    )
    upscalers = Upscalers(model, Registry.discover(), Size(width=300))
    margin = upscalers.for_image(image(9, 20)).network.margin()
    monkeypatch.setattr(
        "srkit.upscaling.network.reach", lambda *asked: pytest.fail("measured again")
    )
    assert upscalers.for_image(image(9, 60)).network.margin() == margin
    assert torch.is_tensor(next(model.generator.parameters()))


def test_a_style_is_for_the_default_model() -> None:
    found = CliRunner().invoke(app, ["upscale", "a.png", "-m", "bicubic", "--style", "enhanced"])
    assert found.exit_code == 1
    assert found.stderr == "error: --style chooses the default model; drop --style, or -m\n"
