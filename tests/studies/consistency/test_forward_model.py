"""How SR becomes LR again: by the degradation of the model, or a plain one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from network_setup import save_network
from srkit_astro.instruments.degradations import PsfNoise

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.functional.resizing import resize
from srkit.models.open import open_model
from srkit.studies.consistency.forward_model import ForwardModel, forward_model

PSF = {"type": "gaussian", "fwhm": 0.2}
TELESCOPE = {"psf": PSF, "pixel_scale": 0.05}
NOISE = {"exposure": 100, "gain": 2, "read_noise": 3}


def _forward(
    registry: Registry, path: Path, scale: float = 2, measured: bool = True, **degradation: Any
) -> ForwardModel:
    changes = {"degradation": degradation} if degradation else {}
    model = open_model(save_network(path / "best.safetensors", **changes), registry)
    return forward_model(model, scale, registry, measured=measured)


def test_noise_is_left_out_of_the_degradation_of_the_model(
    tmp_path: Path, registry: Registry
) -> None:
    forward = _forward(registry, tmp_path, type="psf_noise", **TELESCOPE, noise=NOISE)
    assert (forward.name, forward.reason) == (
        "psf_noise of l2 without its noise",
        "it is the degradation of the model",
    )
    sr = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    expected = build(PsfNoise, TELESCOPE, scale=2)(sr, [0])
    assert torch.equal(forward.apply(sr, (10, 15)), expected)


def test_a_degradation_without_noise(tmp_path: Path, registry: Registry) -> None:
    assert _forward(registry, tmp_path, type="psf_noise", **TELESCOPE).name == "psf_noise of l2"


def test_the_kernel_of_the_recipe(tmp_path: Path, registry: Registry) -> None:
    forward = _forward(registry, tmp_path, type="bilinear")
    assert forward.name == "bilinear of l2"
    sr = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    assert torch.equal(forward.apply(sr, (10, 15)), resize(sr, factor=0.5, kernel="bilinear"))


@pytest.mark.parametrize(
    ("degradation", "reason"),
    [
        ({}, "the model has no recipe with a degradation"),
        (
            {"type": "psf_noise", **TELESCOPE, "psf": {"type": "gaussian", "fwhm": [0.1, 0.2]}},
            "the degradation of the model, psf_noise, is random",
        ),
        (
            {"type": "bicubic", "quantize": True},
            "the degradation of the model, bicubic, rounds or changes values",
        ),
        (
            {"type": "bicubic", "factor": 0.4},
            "the degradation of the model, bicubic, has the factor 0.4, not 1 / 2",
        ),
        (
            {"type": "fog"},
            "the degradation of the model, fog, cannot be built (unknown degradation 'fog'",
        ),
    ],
)
def test_a_plain_degradation_if_that_of_the_model_cannot_be_used(
    tmp_path: Path, registry: Registry, degradation: dict[str, Any], reason: str
) -> None:
    forward = _forward(registry, tmp_path, **degradation)
    assert forward.name == "averaged over LR pixels"
    assert forward.reason.startswith(reason)
    flat = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert forward.apply(flat, (2, 2)).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_images_of_levels_may_be_rounded(tmp_path: Path, registry: Registry) -> None:
    forward = _forward(registry, tmp_path, measured=False, type="bicubic", quantize=True)
    assert forward.name == "bicubic of l2"
    assert _forward(registry, tmp_path, measured=False).name == "bicubic"


def test_a_scale_other_than_that_of_the_model(tmp_path: Path, registry: Registry) -> None:
    forward = _forward(registry, tmp_path, 2.5, type="bilinear")
    assert (forward.name, forward.reason) == (
        "bicubic",
        "the degradation of the model, bilinear, is for scale 2",
    )
    sr = torch.full((1, 1, 25, 38), 3.0)  # of 10 x 15 pixels
    assert forward.apply(sr, (10, 15)).shape == (1, 1, 10, 15)
    assert forward.apply(sr, (10, 15)).mean().item() == pytest.approx(3)


def test_several_degradations_of_a_recipe(tmp_path: Path, registry: Registry) -> None:
    steps = [{"type": "bilinear"}, {"type": "bicubic", "factor": 1.0}]
    path = save_network(tmp_path / "best.safetensors", degradation=steps)
    forward = forward_model(open_model(path, registry), 2, registry, measured=True)
    assert forward.name == "bilinear, then bicubic of l2"
    sr = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    expected = resize(sr, factor=0.5, kernel="bilinear")
    assert torch.allclose(forward.apply(sr, (10, 15)), expected, atol=1e-6)
