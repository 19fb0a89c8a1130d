"""Richardson-Lucy deconvolution, compared with scikit-image and with scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy.signal import fftconvolve
from skimage.restoration import richardson_lucy
from srkit_astro.deconvolution import RichardsonLucy
from srkit_astro.instruments.psf import Psf, half_width, kernels
from torch import Tensor

from srkit.assembly.build import assemble
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.data.batches import evaluation_batches
from srkit.errors import DataError, RecipeError
from srkit.evaluation.restorers import baselines
from srkit.functional import psnr
from srkit.interfaces import Batch
from srkit.recipe.recipe import parse_recipe

PIXEL = 0.1
PSF = {"type": "moffat", "fwhm": 0.6, "beta": 3.0}


def deconvolve(sr: Tensor, lr: Tensor, variance: Tensor | None = None, **options: Any) -> Tensor:
    batch = Batch(["a"], sr, [0], lr=lr, pixel_scale=PIXEL, variance=variance)
    method = build(RichardsonLucy, {"psf": PSF, "chi_square": 0, **options})
    return method(sr, batch)


def scene(side: int) -> np.ndarray[Any, Any]:
    """Draw two sources in the middle, so that borders do not matter."""
    rows, columns = np.indices((side, side)) - side / 2
    near = np.exp(-((rows - 2) ** 2 + (columns + 3) ** 2) / 8)
    return 50 * near + 20 * np.exp(-((rows + 4) ** 2 + (columns - 4) ** 2) / 2)


def kernel() -> np.ndarray[Any, Any]:
    psf: Any = TypeAdapter(Psf).validate_python(PSF)
    return kernels(psf, PIXEL, half_width(psf, PIXEL))[0].numpy()


def test_the_algorithm_is_that_of_scikit_image() -> None:
    # At scale 1 there are no LR pixels to average over; the sky of 1 needs no pedestal.
    observed = fftconvolve(scene(160) + 1, kernel(), "same")
    observed[:40], observed[-40:], observed[:, :40], observed[:, -40:] = 1, 1, 1, 1
    start = torch.full((1, 1, 160, 160), 0.5, dtype=torch.float64)  # as there
    found = deconvolve(start, torch.from_numpy(observed)[None, None], iterations=12, pedestal=0)
    expected = richardson_lucy(observed, kernel(), num_iter=12, clip=False)
    inner = (slice(50, 110),) * 2
    assert np.allclose(found[0, 0].numpy()[inner], expected[inner], rtol=2e-3)


def median(values: np.ndarray[Any, Any]) -> float:
    """Return the lower of the two middle values, as torch does."""
    return float(np.sort(values, None)[(values.size - 1) // 2])


def test_lr_pixels_are_part_of_the_observation() -> None:
    rng = np.random.default_rng(0)
    blurred = fftconvolve(scene(96), kernel(), "same").reshape(48, 2, 48, 2).mean((1, 3))
    observed = blurred + rng.normal(0, 0.1, blurred.shape)
    start = observed.repeat(2, 0).repeat(2, 1)
    sky = 1.4826 * median(abs(observed - median(observed)))
    counts, estimate = observed + 2 * sky, start + 2 * sky
    used = counts > 0
    estimate = estimate.clip(2e-3 * sky)
    sides = [(len(kernel()) // 2,) * 2] * 2

    def convolve(image: Any, by: Any) -> Any:
        return fftconvolve(np.pad(image, sides, "symmetric"), by, "valid")

    turned = kernel()[::-1, ::-1]
    share = convolve(used.repeat(2, 0).repeat(2, 1).astype(float), turned)
    for _ in range(8):
        expected = convolve(estimate, kernel()).reshape(48, 2, 48, 2).mean((1, 3))
        ratio = np.where(used, counts / expected, 0)
        estimate = estimate * convolve(ratio.repeat(2, 0).repeat(2, 1), turned) / share
    given = [torch.from_numpy(each)[None, None] for each in (start, observed)]
    found = deconvolve(*given, iterations=8)[0, 0].numpy()
    assert np.allclose(found, estimate - 2 * sky, rtol=1e-6, atol=1e-6)


def test_negative_and_missing_pixels_are_left_out() -> None:
    observed = torch.from_numpy(fftconvolve(scene(96), kernel(), "same"))
    observed = observed.reshape(48, 2, 48, 2).mean((1, 3))[None, None]
    noise = 0.1 * torch.randn(observed.shape, generator=torch.Generator().manual_seed(1))
    lr = observed + noise
    damaged = lr.clone()
    damaged[..., 10, 10], damaged[..., 12, 12] = float("nan"), -1000.0
    start = observed.repeat_interleave(2, -1).repeat_interleave(2, -2)
    found, whole = (deconvolve(start, each, iterations=30) for each in (damaged, lr))
    assert found.isfinite().all()
    middle = (..., slice(36, 60), slice(36, 60))
    assert (found - whole)[middle].abs().max() < 0.02 * whole.max()
    assert float(found.sum()) == pytest.approx(float(whole.sum()), rel=0.01)


def test_it_ends_at_the_noise() -> None:
    true = torch.from_numpy(scene(96))[None, None]
    psf = torch.from_numpy(kernel())
    half = len(psf) // 2
    padded = torch.nn.functional.pad(true, (half,) * 4)
    blurred = torch.nn.functional.conv2d(padded, psf[None, None])
    observed = torch.nn.functional.avg_pool2d(blurred, 2)
    noise = 0.2 * torch.randn(observed.shape, generator=torch.Generator().manual_seed(1))
    lr, variance = observed + noise, torch.full_like(observed, 0.04)
    start = lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    found = deconvolve(start, lr, variance, iterations=200, chi_square=1.0)
    whole = deconvolve(start, lr, variance, iterations=200)

    def chi_square(sr: Tensor) -> float:
        padded = torch.nn.functional.pad(sr, (half,) * 4, "replicate")
        again = torch.nn.functional.conv2d(padded, psf[None, None])
        return float((lr - torch.nn.functional.avg_pool2d(again, 2)).square().mean() / 0.04)

    assert 0.95 < chi_square(found) < 1.1
    assert chi_square(whole) < 0.9
    errors = [float((each - true).square().mean()) for each in (found, whole, start)]
    assert errors[0] < errors[1]
    assert errors[0] < errors[2]


def recipe(**changes: Any) -> dict[str, Any]:
    source = {"type": "moffat", "fwhm": 0.1, "beta": 2.0}
    deconvolution = {"type": "richardson_lucy", "psf": PSF, "source": source}
    simulation = {"type": "lens_simulation", "split": "test", "length": 2, "size": 48}
    return {
        "name": "small",
        "scale": 2,
        "channels": 1,
        "generator": {"type": "edsr", "blocks": 1, "features": 4},
        "losses": {"mse": {}},
        "metrics": {"psnr": {}},
        "data": {"test": {"dataset": simulation}},
        "evaluation": {"baselines": ["bicubic", deconvolution]},
        **changes,
    }


def test_as_a_baseline_it_is_better_than_bicubic(registry: Registry) -> None:
    assembly = assemble(parse_recipe(recipe(), "x"), registry, "x", splits=("test",))
    found = baselines(assembly)
    assert list(found) == ["bicubic", "richardson_lucy"]
    batch = next(iter(evaluation_batches(assembly.data["test"], [0, 1], 2, 0, 0)))
    values = {name: psnr(restore(batch), batch.hr, span=45.0) for name, restore in found.items()}
    assert (values["richardson_lucy"] > values["bicubic"] + 2).all()


def test_problems_of_a_baseline_name_it(registry: Registry, tmp_path: Path) -> None:
    wrong = [{"type": "richardson_lucy", "iterations": 0}, {"type": "bicubik"}]
    with pytest.raises(RecipeError) as caught:
        tree = recipe(evaluation={"baselines": wrong})
        assemble(parse_recipe(tree, "x"), registry, "x", splits=("test",))
    assert caught.value.problems == [
        "evaluation.baselines.0.psf: missing; it has no default",
        "evaluation.baselines.0.iterations: got 0; expected a number greater than 0",
        "evaluation.baselines.1.type: unknown constraint 'bicubik'; known: flux, richardson_lucy",
    ]
    with pytest.raises(RecipeError) as caught:
        parse_recipe(recipe(evaluation={"baselines": ["bicubic", "bicubic"]}), "x")
    assert caught.value.problems == ["evaluation.baselines: 'bicubic' is repeated; remove one"]
    for side, size in (("lr", 12), ("hr", 24)):
        (tmp_path / side).mkdir()
        values = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
        np.save(tmp_path / side / "a.npy", values)
    pairs = {"type": "lens_pairs", "lr": str(tmp_path / "lr"), "hr": str(tmp_path / "hr")}
    tree = recipe(data={"test": {"dataset": pairs}})
    assembly = assemble(parse_recipe(tree, "x"), registry, "x", splits=("test",))
    batch = next(iter(evaluation_batches(assembly.data["test"], [0], 1, 0, 0)))
    with pytest.raises(DataError, match=r"evaluation.baselines: richardson_lucy on a: the data"):
        baselines(assembly)["richardson_lucy"](batch)
