"""PSF, larger pixels and noise, compared with SciPy, astropy and GalSim."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from astropy.convolution import convolve_fft
from pydantic import TypeAdapter, ValidationError
from scipy.signal import fftconvolve
from srkit_astro.instruments.degradations import HstToHsc, PsfNoise, convolve
from srkit_astro.instruments.psf import Psf, half_width, kernels
from torch import Tensor

from srkit.components.options import build, options_model
from srkit.components.problems import explain
from srkit.components.registry import Registry

PSF: TypeAdapter[Any] = TypeAdapter(Psf)
MOFFAT = {"type": "moffat", "fwhm": 0.6, "beta": 3}
NARROW = {"type": "gaussian", "fwhm": 0.25}
CAMERA = {"exposure": 1200, "gain": 2.5, "read_noise": 4.5, "sky": 0.4}


def psf_noise(scale: int = 2, **options: Any) -> PsfNoise:
    built: PsfNoise = build(PsfNoise, {"psf": MOFFAT, "pixel_scale": 0.1, **options}, scale=scale)
    return built


def hst_to_hsc(scale: int = 2, **options: Any) -> HstToHsc:
    given = {"source": NARROW, "target": MOFFAT, "pixel_scale": 0.1, **options}
    built: HstToHsc = build(HstToHsc, given, scale=scale)
    return built


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def render(options: dict[str, Any], pixel: float = 0.1) -> Tensor:
    psf = PSF.validate_python(options)
    return kernels(psf, pixel, half_width(psf, pixel))


@pytest.mark.parametrize("shape", [(40, 40), (33, 50), (5, 7)])
def test_convolution_equals_scipy_with_symmetric_padding(shape: tuple[int, int]) -> None:
    images = draw(2, 3, *shape)
    kernel = render(MOFFAT)
    lopsided = kernel * torch.linspace(0.5, 1.5, kernel.shape[-1])
    found = convolve(images, lopsided)
    for index in np.ndindex(2, 3):
        mirrored = np.pad(images[index].double(), kernel.shape[-1] // 2, mode="symmetric")
        expected = fftconvolve(mirrored, lopsided[0], mode="valid")
        assert abs(found[index].numpy() - expected).max() < 1e-5 * abs(expected).max()


def test_convolution_equals_astropy() -> None:
    images = torch.zeros(1, 1, 101, 101)
    images[..., 40:60, 45:55] = draw(20, 10).abs()
    kernel = render(NARROW)
    expected = convolve_fft(images[0, 0].double().numpy(), kernel[0].numpy(), boundary="fill")
    assert abs(convolve(images, kernel)[0, 0].numpy() - expected).max() < 1e-4 * expected.max()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("place", [(47, 52), (50, 49)])
def test_a_point_source_agrees_with_galsim(scale: int, place: tuple[int, int]) -> None:
    galsim = pytest.importorskip("galsim")
    pixel, side = 0.1, 24 * scale
    hr = torch.zeros(1, 1, side, side)
    row, column = (each * side // 100 for each in place)
    hr[0, 0, row, column] = 1000
    lr = psf_noise(scale, psf={"type": "gaussian", "fwhm": 0.6})(hr, [0])[0, 0].numpy()
    middle = (side - 1) / 2
    offset = galsim.PositionD((column - middle) * pixel, (row - middle) * pixel)
    accuracy = galsim.GSParams(maxk_threshold=1e-6)
    star = galsim.Gaussian(fwhm=0.6, flux=1000, gsparams=accuracy).shift(offset)
    drawn = star.drawImage(nx=24, ny=24, scale=pixel * scale, dtype=float).array
    # Surface brightness is flux per area of an LR pixel, hence a block mean.
    assert abs(lr * scale**2 - drawn).max() < 1e-4 * drawn.max()


@pytest.mark.parametrize("degradation", [psf_noise(), hst_to_hsc()])
def test_flux_is_conserved_at_the_borders(degradation: PsfNoise | HstToHsc) -> None:
    hr = torch.zeros(2, 1, 40, 60)
    hr[0, 0, 0, 0] = 5
    hr[1, 0, 20, 59] = 7
    lr = degradation(hr, [0, 0])
    assert lr.shape == (2, 1, 20, 30)
    assert torch.allclose(lr.sum((1, 2, 3)), hr.sum((1, 2, 3)) / 4, rtol=1e-5)


def test_a_negative_sky_is_not_clipped() -> None:
    hr = torch.full((1, 1, 64, 64), -2.0)
    for degradation in (psf_noise(), hst_to_hsc()):
        assert torch.allclose(degradation(hr, [0]), torch.tensor(-2.0), rtol=1e-5)
    assert psf_noise(noise=CAMERA)(hr, [0]).mean().item() == pytest.approx(-2, abs=1e-3)


def test_a_psf_is_drawn_for_each_sample() -> None:
    degradation = psf_noise(psf={**MOFFAT, "fwhm": [0.4, 1.2]})
    hr = torch.zeros(2, 1, 64, 64)
    hr[..., 32, 32] = 1
    lr = degradation(hr, [1, 2])
    assert not torch.allclose(lr[0], lr[1], rtol=0.01)
    assert torch.allclose(degradation(hr[1:], [2]), lr[1:], rtol=1e-4, atol=1e-7)
    peaks = [psf_noise(psf={**MOFFAT, "fwhm": f})(hr, [0, 0]).max().item() for f in (1.2, 0.4)]
    assert peaks[0] < lr.amax((1, 2, 3)).min() < lr.amax((1, 2, 3)).max() < peaks[1]


@pytest.mark.parametrize(
    "degradation",
    [
        psf_noise(noise={**CAMERA, "exposure": [100, 5000]}, psf={**MOFFAT, "fwhm": [0.5, 0.9]}),
        hst_to_hsc(noise=CAMERA, target={**MOFFAT, "fwhm": [0.5, 0.9]}),
    ],
)
def test_noise_has_the_stated_variance(degradation: PsfNoise | HstToHsc) -> None:
    hr = 3 + draw(2, 1, 512, 512).abs()
    seeds = [4, 5]
    noisy, clean = degradation(hr, seeds), degradation.expected(hr, seeds)
    variance = degradation.variance(clean, seeds)
    assert variance is not None
    assert variance.shape == clean.shape
    chi2 = ((noisy - clean) ** 2 / variance).double().mean((1, 2, 3))
    assert torch.allclose(chi2, torch.ones(2, dtype=torch.float64), atol=4 * math.sqrt(2) / 256)
    assert degradation.expected(hr.requires_grad_(), seeds).requires_grad


def test_without_noise_nothing_is_random() -> None:
    degradation, hr = psf_noise(), draw(1, 1, 32, 32)
    assert torch.equal(degradation(hr, [1]), degradation(hr, [2]))
    assert torch.equal(degradation(hr, [1]), degradation.expected(hr, [1]))
    assert degradation.variance(hr, [1]) is None


def test_hst_to_hsc_broadens_a_gaussian() -> None:
    source, target = {"type": "gaussian", "fwhm": 0.12}, {"type": "gaussian", "fwhm": 0.6}
    hr = torch.zeros(1, 1, 120, 120)
    narrow, broad = (render(each, 0.05)[0].float() for each in (source, target))
    half = len(narrow) // 2
    hr[0, 0, 60 - half : 61 + half, 60 - half : 61 + half] = narrow
    lr = hst_to_hsc(source=source, target=target, pixel_scale=0.05)(hr, [0])
    expected = torch.zeros(120, 120)
    half = len(broad) // 2
    expected[60 - half : 61 + half, 60 - half : 61 + half] = broad
    blocks = expected.reshape(60, 2, 60, 2).mean((1, 3))
    assert (lr[0, 0] - blocks).abs().max() < 1e-4 * blocks.max()


@pytest.mark.parametrize(
    "target", [{"type": "gaussian", "fwhm": 0.2}, {"type": "gaussian", "fwhm": [0.2, 0.6]}]
)
def test_a_narrower_target_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        hst_to_hsc(target=target)
    assert str(caught.value) == (
        "the target PSF is narrower than the source PSF, which would make LR sharper than HR; "
        "expected a broader one; check that both are in arcsec"
    )


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        (
            {"psf": {"type": "moffat", "fwhm": -1, "bta": 3}},
            [
                "degradation.psf.fwhm: got -1; expected a number greater than 0 or a list",
                "degradation.psf.beta: missing; it has no default",
                "degradation.psf.bta: unknown key 'bta'; did you mean 'beta'?",
            ],
        ),
        (
            {"psf": {"type": "moffat", "fwhm": [0.9, 0.5], "beta": 3}},
            [
                "degradation.psf.fwhm: got [0.9, 0.5]; expected the lower end of the range first",
            ],
        ),
        (
            {"psf": {"type": "moffta"}},
            [
                "degradation.psf: got {'type': 'moffta'}; expected a PSF whose type is one of "
                "gaussian, moffat, airy, image, stars"
            ],
        ),
        (
            {"noise": {"gain": 2}, "pixel_scale": 0},
            [
                "degradation.pixel_scale: got 0; expected a number greater than 0",
                "degradation.noise.exposure: missing; it has no default",
            ],
        ),
    ],
)
def test_problems_of_a_recipe_name_the_key(changes: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        psf_noise(**changes)
    assert explain(caught.value, "degradation", options_model(PsfNoise)) == problems


@pytest.mark.parametrize("name", ["psf_noise", "hst_to_hsc"])
def test_both_are_registered(registry: Registry, name: str) -> None:
    factory = {"psf_noise": PsfNoise, "hst_to_hsc": HstToHsc}[name]
    assert registry.get("degradations", name).factory is factory
