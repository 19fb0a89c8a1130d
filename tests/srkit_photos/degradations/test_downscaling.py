"""Degradations that only downscale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from srkit.components.options import build, options
from srkit.components.registry import Registry
from srkit.functional.resizing import resize

NAMES = ["area", "bicubic", "bilinear", "lanczos", "nearest"]


def _read(path: Path) -> Tensor:
    with PIL.Image.open(path) as picture:
        values = torch.from_numpy(np.array(picture.convert("RGB")))
    return values.permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_is_registered_and_documented(registry: Registry, name: str) -> None:
    component = registry.get("degradations", name)
    assert component.summary
    assert all(option.meaning for option in options(component.factory))
    degradation = build(component.factory, {}, scale=4)
    hr = torch.rand(2, 3, 32, 48)
    assert degradation.factor == 0.25
    lr = degradation(hr, [1, 2])
    assert torch.equal(lr, resize(hr, factor=0.25, kernel=name))  # type: ignore[arg-type]


def test_factor_need_not_be_one_over_scale(registry: Registry) -> None:
    factory = registry.get("degradations", "bicubic").factory
    degradation = build(factory, {"factor": 0.32}, scale=4)
    assert degradation(torch.rand(1, 3, 256, 256), [0]).shape == (1, 3, 82, 82)


@pytest.mark.shared
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_quantized_bicubic_equals_matlab(registry: Registry, shared: Path, scale: int) -> None:
    degradation = build(
        registry.get("degradations", "bicubic").factory, {"quantize": True}, scale=scale
    )
    for name in ("butterfly", "woman"):
        hr = _read(shared / f"data/set5/HR/{name}.png")
        height, width = (side // scale * scale for side in hr.shape[-2:])
        expected = _read(shared / f"data/set5/X{scale}/{name}x{scale}.png")
        assert torch.equal(degradation(hr[..., :height, :width], [0]), expected)


def test_overshoot_is_kept_unless_quantized(registry: Registry) -> None:
    edge = torch.zeros(1, 1, 16, 16)
    edge[..., 7:] = 1
    factory = registry.get("degradations", "bicubic").factory
    plain = build(factory, {}, scale=2)(edge, [0])
    assert plain.min() < 0
    assert plain.max() > 1
    quantized = build(factory, {"quantize": True}, scale=2)(edge, [0])
    assert quantized.min() == 0
    assert quantized.max() == 1


@pytest.mark.parametrize("factor", [0.0, 1.5, float("nan")])
def test_bad_factor(registry: Registry, factor: float) -> None:
    factory = registry.get("degradations", "nearest").factory
    with pytest.raises(ValueError, match="factor must be above 0 and at most 1, got"):
        factory(scale=2, factor=factor)
