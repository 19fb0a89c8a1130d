"""Kernels between two PSFs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from photutils.psf_matching import make_wiener_kernel
from pydantic import TypeAdapter
from scipy.signal import fftconvolve
from srkit_astro.instruments.psf import Psf, half_width, kernels
from srkit_astro.instruments.psf_matching import matching_kernels, sharpens
from torch import Tensor

PSF: TypeAdapter[Any] = TypeAdapter(Psf)
HST = {"type": "airy", "lambda_over_d": 0.07, "obscuration": 0.33}
HSC = {"type": "moffat", "fwhm": 0.6, "beta": 3}


def render(*options: dict[str, Any], pixel: float = 0.05) -> list[Tensor]:
    psfs = [PSF.validate_python(each) for each in options]
    half = max(half_width(psf, pixel) for psf in psfs)
    return [kernels(psf, pixel, half) for psf in psfs]


@pytest.mark.parametrize(("narrow", "broad"), [(0.1, 0.6), (0.15, 0.6), (0.3, 0.6)])
def test_the_kernel_between_gaussians_is_gaussian(narrow: float, broad: float) -> None:
    source, target, between = render(
        {"type": "gaussian", "fwhm": narrow},
        {"type": "gaussian", "fwhm": broad},
        {"type": "gaussian", "fwhm": (broad**2 - narrow**2) ** 0.5},
    )
    found = matching_kernels(source, target, 1e-6)
    # PSFs are integrated over pixels, which cancels between the two but not in the third.
    assert (found - between).abs().max() < 6e-3 * between.max()
    again = fftconvolve(source[0].numpy(), found[0].numpy(), mode="same")
    assert abs(again - target[0].numpy()).max() < 1e-4 * target.max()


def test_the_kernel_converts_hst_to_hsc() -> None:
    source, target = render(HST, HSC)
    found = matching_kernels(source, target, 1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    again = fftconvolve(source[0].numpy(), found[0].numpy(), mode="same")
    assert abs(again - target[0].numpy()).max() < 1e-4 * target.max()
    assert not sharpens(found)


def test_kernels_agree_with_photutils() -> None:
    source, target = render(HST, HSC)
    found = matching_kernels(source, target, 1e-4)[0].numpy()
    expected = make_wiener_kernel(
        source[0].numpy(), target[0].numpy(), regularization=1e-4, penalty="laplacian"
    )
    assert abs(found - expected).max() < 1e-9 * expected.max()


def test_regularisation_smooths() -> None:
    source, target = render(HST, HSC)
    noisy = source + 1e-4 * source.max() * torch.randn(
        source.shape, dtype=source.dtype, generator=torch.Generator().manual_seed(0)
    )
    weak, strong = (matching_kernels(noisy, target, weight) for weight in (1e-12, 1e-4))
    assert strong.diff().abs().max() < weak.diff().abs().max()


def test_each_pair_of_a_batch_has_a_kernel() -> None:
    source, target, other = render(HST, HSC, {**HSC, "fwhm": 0.7})
    both = matching_kernels(source, torch.cat([target, other]), 1e-6)
    assert torch.allclose(both[:1], matching_kernels(source, target, 1e-6))
    assert torch.allclose(both[1:], matching_kernels(source, other, 1e-6))


@pytest.mark.parametrize("options", [HST, HSC, {"type": "gaussian", "fwhm": 0.1}])
def test_sharpens_detects_a_narrower_target(options: dict[str, Any]) -> None:
    width = "lambda_over_d" if options["type"] == "airy" else "fwhm"
    narrow = {**options, width: 0.9 * options[width]}
    source, target = render(narrow, options)
    assert not sharpens(matching_kernels(source, source, 1e-6))
    assert not sharpens(matching_kernels(source, target, 1e-6))
    assert sharpens(matching_kernels(target, source, 1e-6))
