"""Scenes: all layers have the same position, scale and colours."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib
import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from srkit.components.registry import Registry
from srkit.functional.resizing import resize
from srkit.interfaces import Image
from srkit.studies.compare import scenes
from srkit.studies.compare.results import Layer, Scene
from srkit.studies.compare.scenes import make_scene

GENERATOR = torch.Generator().manual_seed(0)


def _enlarged(image: Image, scale: int = 2) -> Image:
    """Enlarge an image by repeating pixels."""

    def grow(planes: Tensor) -> Tensor:
        return planes.repeat_interleave(scale, -2).repeat_interleave(scale, -1)

    metadata = dict(image.metadata)
    if "alpha" in metadata:
        metadata["alpha"] = grow(metadata["alpha"])
    return Image(grow(image.pixels), image.data_range, metadata)


def _scene(lr: Image, registry: Registry, scale: int = 2, **options: Any) -> Scene:
    return make_scene("a", lr, {"sr": _enlarged(lr, scale)}, scale, registry, **options)


def _pixels(layer: Layer, mode: str) -> Any:
    with PIL.Image.open(io.BytesIO(base64.b64decode(layer.uri.partition(",")[2]))) as picture:
        return np.array(picture.convert(mode))


def _named(scene: Scene, name: str) -> Layer:
    return next(layer for layer in scene.layers if layer.name == name)


def test_photograph_is_shown_within_its_data_range(registry: Registry) -> None:
    levels = torch.randint(0, 256, (3, 6, 9), generator=GENERATOR)
    lr = Image(levels / 255, (0.0, 1.0), {"bits": 8})
    scene = _scene(lr, registry)
    assert [layer.name for layer in scene.layers] == ["input", "bicubic", "sr"]
    assert [layer.coarseness for layer in scene.layers] == [2, 1, 1]
    assert (scene.width, scene.height, scene.bar) == (18, 12, None)
    assert scene.title == "9 × 6 pixels, restored to 18 × 12"
    np.testing.assert_array_equal(
        _pixels(scene.layers[0], "RGB"), levels.movedim(0, -1).numpy().astype(np.uint8)
    )
    bicubic = resize(lr.pixels[None], factor=2)[0].clamp(0, 1) * 255
    found = _pixels(scene.layers[1], "RGB").astype(float)
    np.testing.assert_allclose(found, bicubic.movedim(0, -1), atol=0.51)


def test_opacity_is_shown(registry: Registry) -> None:
    alpha = torch.ones(1, 6, 6)
    alpha[:, 1, 2] = 0
    scene = _scene(
        Image(torch.full((1, 6, 6), 0.5), (0.0, 1.0), {"bits": 8, "alpha": alpha}), registry
    )
    assert np.argwhere(_pixels(scene.layers[0], "LA")[..., 1] == 0).tolist() == [[1, 2]]
    assert _pixels(_named(scene, "sr"), "LA")[2:4, 4:6, 1].tolist() == [[0, 0], [0, 0]]


def test_measured_values_have_the_same_colours_in_all_layers(registry: Registry) -> None:
    pixels = torch.randn(1, 20, 30, generator=GENERATOR)
    pixels[0, 3, 4], pixels[0, 5, 6] = 50, torch.nan
    scene = _scene(Image(pixels, (-3.0, 50.0), {"bits": 32, "unit": "nJy"}), registry)
    lr, sr = _pixels(scene.layers[0], "RGBA"), _pixels(_named(scene, "sr"), "RGBA")
    np.testing.assert_array_equal(sr, lr.repeat(2, 0).repeat(2, 1))
    assert np.argwhere(lr[..., 3] == 0).tolist() == [[5, 6]]
    assert scene.bar is not None
    assert scene.bar.unit == "nJy"
    brightest = np.array(matplotlib.colormaps["inferno"](1.0)[:3]) * 255
    assert np.abs(lr[3, 4, :3] - brightest).max() <= 1
    assert scene.bar.ticks[-1] == (pytest.approx(100), "50")


def test_first_row_of_a_fits_frame_is_at_the_bottom(registry: Registry) -> None:
    pixels = torch.zeros(1, 8, 8)
    pixels[0, 0, 0] = 1
    scene = _scene(Image(pixels, (0.0, 1.0), {"bits": 32, "frame": True}), registry)
    assert np.argwhere(_pixels(scene.layers[0], "RGB").sum(-1) > 300).tolist() == [[7, 0]]


def test_diverged_values_do_not_hide_the_other_layers(registry: Registry) -> None:
    pixels = torch.rand(1, 8, 8, generator=GENERATOR)
    lr = Image(pixels, (0.0, 1.0), {"bits": 32})
    diverged = Image(_enlarged(lr).pixels * 1e6, (0.0, 1.0), {"bits": 32})
    scene = make_scene("a", lr, {"sr": diverged}, 2, registry)
    assert len(np.unique(_pixels(scene.layers[0], "RGB").sum(-1))) > 20


@pytest.mark.parametrize(
    ("centre", "part"),
    [(None, (68, 48)), ((10.0, 5.0), (0, 0)), ((50.0, 30.0), (34, 14)), ((999.0, 0.0), (68, 0))],
)
def test_part_of_a_large_image(
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    centre: tuple[float, float] | None,
    part: tuple[int, int],
) -> None:
    """Show 32 x 32 of 100 x 80 pixels, with detail in a corner."""
    monkeypatch.setattr(scenes, "BUDGET", 2 * 64**2)
    pixels = torch.zeros(1, 80, 100)
    pixels[:, 48:, 68:] = torch.rand(32, 32, generator=GENERATOR)
    saturated = {"bits": 8, "unusable": pixels > 0.9}  # another plane than the opacity
    scene = _scene(Image(pixels, (0.0, 1.0), saturated), registry, centre=centre)
    left, top = part
    shown = f"; shown: 32 × 32 input pixels from ({left}, {top})"
    assert scene.title == f"100 × 80 pixels, restored to 200 × 160{shown}"
    assert (scene.width, scene.height) == (64, 64)
    expected = (pixels[0, top : top + 32, left : left + 32] * 255).round().numpy()
    np.testing.assert_array_equal(_pixels(scene.layers[0], "L"), expected)
    np.testing.assert_array_equal(
        _pixels(_named(scene, "sr"), "L"), expected.repeat(2, 0).repeat(2, 1)
    )
    whole = resize(pixels[None], factor=2)[0, 0].clamp(0, 1) * 255
    inner = whole[2 * top : 2 * top + 64, 2 * left : 2 * left + 64]
    np.testing.assert_allclose(_pixels(_named(scene, "bicubic"), "L"), inner, atol=0.51)


def test_baseline_is_not_shown_twice(registry: Registry) -> None:
    lr = Image(torch.rand(3, 8, 8, generator=GENERATOR), (0.0, 1.0), {"bits": 8})
    scene = make_scene("a", lr, {"bicubic": _enlarged(lr)}, 2, registry)
    assert [layer.name for layer in scene.layers] == ["input", "bicubic"]
