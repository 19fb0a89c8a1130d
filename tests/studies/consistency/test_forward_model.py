"""How SR becomes LR again: by the degradation of the model, or a plain one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from network_setup import save_network
from srkit_astro.instruments.degradations import HstToHsc, PsfNoise
from srkit_astro.observed_fits import ObservedFits
from torch import Tensor

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.functional.resizing import resize
from srkit.interfaces import Image
from srkit.interfaces.quantity import Quantity
from srkit.models.open import Model, open_model
from srkit.recipe.recipe import load_recipe
from srkit.studies.consistency.forward_model import (
    ForwardModel,
    GivenPsf,
    agrees_by_construction,
    forward_model,
)

PSF = {"type": "gaussian", "fwhm": 0.2}
TELESCOPE = {"psf": PSF, "pixel_scale": 0.05}
NOISE = {"exposure": 100, "gain": 2, "read_noise": 3}


def _frame(measured: bool = True, **metadata: Any) -> Image:
    return Image(torch.zeros(1, 8, 8), metadata={"bits": 32 if measured else 8, **metadata})


def _forward(
    registry: Registry, path: Path, scale: float = 2, measured: bool = True, **degradation: Any
) -> ForwardModel:
    changes = {"degradation": degradation} if degradation else {}
    return _of_recipe(registry, path, _frame(measured), scale, **changes)


def _of_recipe(
    registry: Registry, path: Path, lr: Image, scale: float = 2, **changes: Any
) -> ForwardModel:
    model = open_model(save_network(path / "best.safetensors", **changes), registry)
    return forward_model(model, lr, scale, registry)


def _random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


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
        ({}, "the model has no recipe that states a PSF or a degradation"),
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
    assert (forward.name, forward.stated) == ("averaged over LR pixels", False)
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
    forward = forward_model(open_model(path, registry), _frame(), 2, registry)
    assert (forward.name, forward.stated) == ("bilinear, then bicubic of l2", True)
    sr = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    expected = resize(sr, factor=0.5, kernel="bilinear")
    assert torch.allclose(forward.apply(sr, (10, 15)), expected, atol=1e-6)


SEEING = {"type": "moffat", "fwhm": 0.6, "beta": 3}
SHARP = {"type": "gaussian", "fwhm": 0.2}
METRICS = {"l1": {"type": "mae"}, "chi": {"type": "reduced_chi_square", "psf": SEEING}}


def _observed(sr: Tensor, psf: dict[str, Any], pixel_scale: float = 0.1) -> Tensor:
    """Observe SR by the degradation between two PSFs."""
    options = {"source": SHARP, "target": psf, "pixel_scale": pixel_scale}
    return build(HstToHsc, options, scale=2)(sr, [0])


@pytest.mark.parametrize("place", ["constraint", "metric"])
def test_the_psfs_of_the_recipe_observe_sr(tmp_path: Path, registry: Registry, place: str) -> None:
    """Those of the constraint come before those of a metric, and both before the degradation."""
    psfs = {"psf": SEEING, "source": SHARP}
    other = {"psf": {"type": "gaussian", "fwhm": 0.9}}
    changes: dict[str, Any] = {
        "constraint": {"constraint": {"type": "flux", **psfs}},
        "metric": {"constraint": {"type": "flux"}},
    }[place]
    chi = {"type": "reduced_chi_square", **(other if place == "constraint" else psfs)}
    changes["metrics"] = {"psnr": {"type": "psnr"}, "chi": chi}
    changes["degradation"] = {"type": "area"}
    forward = _of_recipe(registry, tmp_path, _frame(pixel_scale=0.2), **changes)
    assert forward.name == "moffat PSF (fwhm 0.6, beta 3), from gaussian PSF (fwhm 0.2)"
    where = "constraint" if place == "constraint" else "metric chi"
    assert forward.reason == f"the {where} of the model's recipe states it"
    assert forward.stated
    sr = _random(1, 1, 40, 60)
    torch.testing.assert_close(forward.apply(sr, (20, 30)), _observed(sr, SEEING))


def test_the_pixel_scale_of_the_training_if_the_frame_has_none(
    tmp_path: Path, registry: Registry
) -> None:
    chi = {"type": "reduced_chi_square", "psf": SEEING, "source": SHARP}
    path = save_network(
        tmp_path / "a.safetensors", quantity=Quantity(pixel_scale=0.12), metrics={"chi": chi}
    )
    forward = forward_model(open_model(path, registry), _frame(), 4, registry)
    sr = _random(1, 1, 40, 40)
    options = {"source": SHARP, "target": SEEING, "pixel_scale": 0.06}
    expected = build(HstToHsc, options, scale=4)(sr, [0])
    torch.testing.assert_close(forward.apply(sr, (10, 10)), expected)


def test_psfs_observe_at_integer_scales(tmp_path: Path, registry: Registry) -> None:
    forward = _of_recipe(registry, tmp_path, _frame(), 2.5, metrics=METRICS)
    assert (forward.name, forward.stated) == ("bicubic", False)
    assert forward.reason.endswith("with the PSFs of its recipe at integer scales only, got 2.5")


def test_a_psf_that_does_not_fit_the_pixels(tmp_path: Path, registry: Registry) -> None:
    forward = _of_recipe(registry, tmp_path, _frame(pixel_scale=30), metrics=METRICS)
    with pytest.raises(DataError, match=r"^SR cannot be observed by the moffat PSF \(fwhm 0.6, be"):
        forward.apply(_random(1, 1, 8, 8), (4, 4))


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"constraint": {"type": "flux", "psf": SEEING, "source": SHARP}}, True),
        ({"degradation": {"type": "psf_noise", **TELESCOPE}}, False),
        (
            {
                "degradation": {
                    "type": "hst_to_hsc",
                    "source": SHARP,
                    "target": {"type": "gaussian", "fwhm": [0.5, 0.6]},
                    "pixel_scale": 0.1,
                }
            },
            True,
        ),
        ({}, False),
    ],
    ids=["constraint", "sky", "random", "nothing"],
)
def test_a_given_psf_replaces_that_of_lr(
    tmp_path: Path, registry: Registry, changes: dict[str, Any], source: bool
) -> None:
    """The PSF of HR remains that of the recipe."""
    model = open_model(save_network(tmp_path / "a.safetensors", **changes), registry)
    given = GivenPsf("0.7", tmp_path / "a.fits", ObservedFits())
    forward = forward_model(model, _frame(pixel_scale=0.2), 2, registry, given)
    assert forward.name.startswith("gaussian PSF (fwhm 0.7)")
    assert forward.stated
    sr, psf = _random(1, 1, 40, 40), {"type": "gaussian", "fwhm": 0.7}
    if source:
        expected = _observed(sr, psf)
    else:
        expected = build(PsfNoise, {"psf": psf, "pixel_scale": 0.1}, scale=2)(sr, [0])
    torch.testing.assert_close(forward.apply(sr, (20, 20)), expected)


@pytest.mark.parametrize(
    ("name", "changes", "image_format", "scale", "message"),
    [
        ("bicubic", {}, ObservedFits(), 2, "'bicubic' leaves the PSF of LR as it is"),
        (
            None,
            {"degradation": {"type": "area"}},
            ObservedFits(),
            2,
            "the degradation of the model's recipe has no PSF: its SR has the PSF of LR",
        ),
        (None, {}, object(), 2, "only frames in FITS have a PSF; drop --psf"),
        (None, {}, ObservedFits(), 1.5, "with a PSF at integer scales only, got 1.5; drop --psf"),
    ],
    ids=["interpolation", "area", "format", "scale"],
)
def test_a_psf_that_cannot_be_given(
    tmp_path: Path,
    registry: Registry,
    name: str | None,
    changes: dict[str, Any],
    image_format: object,
    scale: float,
    message: str,
) -> None:
    path = save_network(tmp_path / "a.safetensors", **changes)
    model = open_model(name or path, registry, scale=2)
    given = GivenPsf("0.7", tmp_path / "a.fits", image_format)
    with pytest.raises(DataError, match=message):
        forward_model(model, _frame(pixel_scale=0.2), scale, registry, given)


@pytest.mark.parametrize(
    ("name", "constraint", "expected"),
    [
        (None, {"type": "flux"}, True),
        ("sky_x2", None, True),
        ("nearest", None, True),
        ("bicubic", None, False),
        (None, None, False),
        (None, {"type": "flux", "psf": SEEING}, False),
    ],
)
def test_what_agrees_by_construction(
    tmp_path: Path,
    registry: Registry,
    name: str | None,
    constraint: dict[str, Any] | None,
    expected: bool,
) -> None:
    changes = {} if constraint is None else {"constraint": constraint}
    quantity = Quantity(pixel_scale=0.1)
    path = save_network(tmp_path / "a.safetensors", quantity=quantity, **changes)
    model: Model = open_model(name or path, registry, scale=2)
    forward = forward_model(model, _frame(), 2, registry)
    assert agrees_by_construction(model, 2, forward) == expected
    assert not agrees_by_construction(model, 2.5, forward_model(model, _frame(), 2.5, registry))
    if constraint == {"type": "flux"}:  # observed in another way, it can fail
        given = GivenPsf("0.7", tmp_path / "a.fits", ObservedFits())
        assert not agrees_by_construction(
            model, 2, forward_model(model, _frame(), 2, registry, given)
        )


LENSES = [
    path
    for path in sorted((Path(__file__).resolve().parents[3] / "recipes").glob("*.yaml"))
    if "lens_simulation" in path.read_text("utf-8") or path.stem.startswith(("lens", "galaxies"))
]


@pytest.mark.parametrize("sample", [False, True], ids=["whole", "sample"])
@pytest.mark.parametrize("path", LENSES, ids=lambda path: path.stem)
def test_models_of_lens_recipes_can_be_checked(
    tmp_path: Path, registry: Registry, path: Path, sample: bool
) -> None:
    recipe = load_recipe(path, sample=sample).dump()
    if recipe.get("generator") is None:
        pytest.skip("has no generator")
    kept = {key: recipe[key] for key in ("constraint", "metrics", "degradation") if key in recipe}
    forward = _of_recipe(registry, tmp_path, _frame(pixel_scale=0.168), **kept)
    assert forward.stated
    assert forward.apply(_random(1, 1, 40, 40), (20, 20)).shape == (1, 1, 20, 20)
    # All but sky_x2, whose HR has the PSF of LR, state the PSFs of both.
    assert ("PSF" in forward.name) == (path.stem != "sky_x2")
    if "PSF" in forward.name:
        assert "), from moffat PSF (" in forward.name
