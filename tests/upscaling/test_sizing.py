"""How large SR is to be."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from srkit.components.registry import Registry
from srkit.functional.resizing import resized_side
from srkit.interfaces import Image
from srkit.models.open import Model, fresh_model, native_scale, open_model
from srkit.upscaling.sizing import Size, Upscalers


def image(height: int, width: int) -> Image:
    return Image(torch.zeros(1, height, width))


@pytest.mark.parametrize("side", [1, 7, 333, 4096])
@pytest.mark.parametrize("wanted", [1, 50, 1920])
def test_the_side_that_was_asked_for(side: int, wanted: int) -> None:
    across, down = Size(width=wanted).scale_of(9, side), Size(height=wanted).scale_of(side, 9)
    assert across is not None
    assert across == down
    assert resized_side(side, across) == wanted


def test_megapixels() -> None:
    scale = Size(megapixels=2).scale_of(300, 400)
    assert scale is not None
    assert resized_side(300, scale) * resized_side(400, scale) == pytest.approx(2e6, rel=2e-3)


def test_names() -> None:
    sizes = [Size(), Size(3.5), Size(width=50), Size(height=20), Size(megapixels=1.5)]
    assert [size.label(4) for size in sizes] == ["x4", "x3.5", "w50", "h20", "1.5mp"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": 2, "width": 5}, "got scale and width; only one of them can decide the size"),
        ({"scale": 0.0}, "the scale must be positive, got 0"),
        ({"megapixels": -1.0}, "the megapixels must be positive, got -1"),
        ({"scale": float("inf")}, "the scale must be positive, got inf"),
        ({"scale": "3"}, "the scale must be a number, got '3'"),
        ({"scale": True}, "the scale must be a number, got True"),
        ({"width": 3.5}, "the width must be a whole number of pixels, got 3.5"),
    ],
)
def test_sizes_that_decide_nothing(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Size(**given)


def test_an_interpolation_of_the_next_whole_scale() -> None:
    upscalers = Upscalers("bicubic", Registry.discover(), Size(width=70))
    first, again = upscalers.for_image(image(9, 20)), upscalers.for_image(image(30, 20))
    assert (first.model.scale, first.scale) == (4, 3.5)
    assert first.model is again.model
    assert upscalers.for_image(image(9, 100)).model.scale == 1


def test_the_own_scale_of_a_model() -> None:
    opened = open_model("lanczos", Registry.discover(), scale=3)
    upscaler = Upscalers(opened, Registry.discover(), Size()).for_image(image(5, 5))
    assert upscaler.scale == 3
    assert Upscalers(opened, Registry.discover(), Size(8)).for_image(image(5, 5)).model is opened


def test_the_nearest_scale_of_a_network_for_several() -> None:
    registry = Registry.discover()
    generator = registry.get("generators", "mdsr").factory(
        scales=(2, 3, 4), channels=3, blocks=1, features=4
    )
    model = Model("mdsr", generator.eval(), 2, 3)
    assert [native_scale(model, wanted) for wanted in (0.5, 2, 2.1, 3.5, 9)] == [2, 2, 3, 4, 4]
    single = fresh_model("edsr", registry, ["blocks=1", "features=4"], scale=2, channels=3)
    assert native_scale(single, 3.5) == 2


def test_copies_for_another_scale_measure_the_network_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = fresh_model(
        "edsr", Registry.discover(), ["blocks=1", "features=4"], scale=2, channels=1
    )
    upscalers = Upscalers(model, Registry.discover(), Size(width=300))
    margin = upscalers.for_image(image(9, 20)).margin
    monkeypatch.setattr(
        "srkit.upscaling.upscaler.reach", lambda *asked: pytest.fail("measured again")
    )
    assert upscalers.for_image(image(9, 60)).margin == margin
    assert torch.is_tensor(next(model.generator.parameters()))
