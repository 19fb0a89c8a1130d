"""PSFs on the HR grid, compared with astropy and GalSim."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from astropy.convolution import AiryDisk2DKernel, Gaussian2DKernel, Moffat2DKernel
from astropy.io import fits
from pydantic import TypeAdapter, ValidationError
from srkit_astro.instruments.psf import Psf, half_width, kernels

from srkit.errors import DataError

PIXEL = 0.05
PSF: TypeAdapter[Any] = TypeAdapter(Psf)
PSF_TYPES = "a PSF whose type is one of gaussian, moffat, airy, image, stars"
#: First zero of an Airy pattern, in lambda / D.
FIRST_ZERO = 1.2196698912665045
#: Integration by astropy: the central 5 x 5 pixels, each with 101 x 101 samples.
SAMPLED: dict[str, Any] = {"x_size": 5, "y_size": 5, "mode": "oversample", "factor": 101}


def render(pixel: float = PIXEL, **options: Any) -> np.ndarray[Any, Any]:
    psf = PSF.validate_python(options)
    return kernels(psf, pixel, half_width(psf, pixel))[0].numpy()


def deviation(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Return the largest difference relative to the peak; `expected` is normalised first."""
    expected = expected / expected.sum()
    return float(abs(found - expected).max() / expected.max())


def middle(kernel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Cut out the central 5 x 5 pixels and normalise their sum to 1."""
    first = len(kernel) // 2 - 2
    part = kernel[first : first + 5, first : first + 5]
    return part / part.sum()


def gaussian(shape: tuple[int, int], row: float, column: float, sigma: float) -> Any:
    rows, columns = np.indices(shape)
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))


def test_gaussian_equals_astropy() -> None:
    found = render(type="gaussian", fwhm=0.15)
    sigma = 0.15 / PIXEL / (2 * math.sqrt(2 * math.log(2)))
    assert deviation(middle(found), Gaussian2DKernel(sigma, **SAMPLED).array) < 1e-4


@pytest.mark.parametrize("beta", [2.5, 4.765])
@pytest.mark.parametrize("fwhm", [0.05, 0.17])
def test_moffat_equals_astropy(fwhm: float, beta: float) -> None:
    found = render(type="moffat", fwhm=fwhm, beta=beta)
    gamma = fwhm / PIXEL / (2 * math.sqrt(2 ** (1 / beta) - 1))
    assert deviation(middle(found), Moffat2DKernel(gamma, beta, **SAMPLED).array) < 1e-4


def test_airy_equals_astropy() -> None:
    found = render(type="airy", lambda_over_d=0.07)
    radius = FIRST_ZERO * 0.07 / PIXEL
    assert deviation(middle(found), AiryDisk2DKernel(radius, **SAMPLED).array) < 1e-4


@pytest.mark.parametrize(
    ("options", "name", "arguments"),
    [
        ({"type": "gaussian", "fwhm": 0.1}, "Gaussian", {"fwhm": 0.1}),
        ({"type": "gaussian", "fwhm": 0.02}, "Gaussian", {"fwhm": 0.02}),
        ({"type": "moffat", "fwhm": 0.3, "beta": 3}, "Moffat", {"fwhm": 0.3, "beta": 3}),
        ({"type": "moffat", "fwhm": 0.04, "beta": 2.5}, "Moffat", {"fwhm": 0.04, "beta": 2.5}),
        ({"type": "airy", "lambda_over_d": 0.07}, "Airy", {"lam_over_diam": 0.07}),
        (
            {"type": "airy", "lambda_over_d": 0.07, "obscuration": 0.33},
            "Airy",
            {"lam_over_diam": 0.07, "obscuration": 0.33},
        ),
    ],
)
def test_models_equal_galsim(
    options: dict[str, Any], name: str, arguments: dict[str, float]
) -> None:
    galsim = pytest.importorskip("galsim")
    found = render(**options)
    accuracy = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=1e-5)
    profile = getattr(galsim, name)(**arguments, gsparams=accuracy)
    side = len(found)
    drawn = profile.drawImage(nx=side, ny=side, scale=PIXEL, dtype=float).array
    assert deviation(found, drawn) < 1e-4
    # The light that is cut off, as documented.
    light = {"Gaussian": 3e-5, "Moffat": 1e-3, "Airy": 0.015}  # the first is the error of GalSim
    assert abs(drawn.sum() - 1) < light[name]


@pytest.mark.parametrize("obscuration", [0.0, 0.33])
def test_airy_has_the_given_fwhm(obscuration: float) -> None:
    # Pixels small enough for their values to be those of the profile.
    found = render(0.02, type="airy", fwhm=0.36, obscuration=obscuration)
    centre = len(found) // 2
    assert found[centre, centre + 9] / found[centre, centre] == pytest.approx(0.5, abs=5e-3)


def test_airy_fwhm_has_the_published_value() -> None:
    narrow, wide = (
        PSF.validate_python({"type": "airy", "lambda_over_d": each}) for each in (0.07, [0.07, 1])
    )
    assert narrow.smallest_fwhm == pytest.approx(1.029 * 0.07, rel=1e-3)
    assert wide.smallest_fwhm == narrow.smallest_fwhm
    assert wide.cut_radius == 25


@pytest.mark.parametrize(
    "options",
    [
        {"type": "gaussian", "fwhm": 0.6},
        {"type": "moffat", "fwhm": 0.6, "beta": 2.5},
        {"type": "airy", "fwhm": 0.1, "obscuration": 0.3},
    ],
)
def test_kernels_are_centred_symmetric_and_normalised(options: dict[str, Any]) -> None:
    kernel = render(**options)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    assert kernel.max() == kernel[len(kernel) // 2, len(kernel) // 2]
    for turned in (kernel[::-1], kernel[:, ::-1], kernel.T):
        assert np.allclose(kernel, turned, rtol=0, atol=1e-15)


def test_shallow_profiles_are_cut_at_20_fwhm() -> None:
    assert PSF.validate_python({"type": "moffat", "fwhm": 0.5, "beta": 1.2}).cut_radius == 10


def test_each_generator_draws_a_psf_from_the_ranges() -> None:
    psf = PSF.validate_python({"type": "moffat", "fwhm": [0.5, 0.9], "beta": [2.5, 4]})
    half = half_width(psf, 0.1)
    sources = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    both = kernels(psf, 0.1, half, sources)
    assert both.shape == (2, 2 * half + 1, 2 * half + 1)
    assert not torch.equal(both[0], both[1])
    first = torch.Generator().manual_seed(1)
    fwhm, beta = (torch.rand((), dtype=torch.float64, generator=first).item() for _ in range(2))
    fixed = {"type": "moffat", "fwhm": 0.5 + 0.4 * fwhm, "beta": 2.5 + 1.5 * beta}
    expected = kernels(PSF.validate_python(fixed), 0.1, half)
    assert torch.allclose(both[:1], expected, rtol=1e-4)


def test_extremes_are_all_combinations_of_the_ends_of_ranges() -> None:
    psf = PSF.validate_python({"type": "moffat", "fwhm": [0.5, 0.9], "beta": [2, 4]})
    found = [(corner.fwhm, corner.beta) for corner in psf.extremes()]
    assert found == [(0.5, 2), (0.5, 4), (0.9, 2), (0.9, 4)]
    fixed = PSF.validate_python({"type": "gaussian", "fwhm": 1})
    assert fixed.extremes() == [fixed]


def write(path: Path, values: np.ndarray[Any, Any]) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values.astype(">f8"))]).writeto(path)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".fits"])
@pytest.mark.parametrize(
    ("pixel_scale", "side"), [(0.02, 91), (0.02, 90), (0.05, 41), (0.1, 21), (0.1, 20)]
)
def test_psf_image_is_resampled_from_any_pixel_scale(
    tmp_path: Path, suffix: str, pixel_scale: float, side: int
) -> None:
    # A Gaussian integrated over pixels that are finer or coarser than HR; odd and even sides.
    sigma = 0.2
    edges = (torch.arange(side + 1, dtype=torch.float64) - side / 2) * pixel_scale
    fraction = torch.erf(edges / (sigma * math.sqrt(2))).diff() / 2
    file = write(tmp_path / f"psf{suffix}", (fraction[:, None] * fraction).numpy())
    found = render(type="image", file=file, pixel_scale=pixel_scale)
    expected = PSF.validate_python(
        {"type": "gaussian", "fwhm": sigma * 2 * math.sqrt(2 * math.log(2))}
    )
    drawn = kernels(expected, PIXEL, len(found) // 2)[0].numpy()
    assert deviation(found, drawn) < (1e-4 if pixel_scale < 0.1 else 2e-4)


def test_psf_image_keeps_its_orientation(tmp_path: Path) -> None:
    star, ghost = gaussian((21, 31), 10, 15, 1.5), gaussian((21, 31), 3, 26, 1)
    file = write(tmp_path / "psf.npy", star + 0.1 * ghost)
    kernel = render(0.1, type="image", file=file, pixel_scale=0.1)
    middle = len(kernel) // 2
    assert np.unravel_index(kernel.argmax(), kernel.shape) == (middle, middle)
    far = kernel * (1 - gaussian(kernel.shape, middle, middle, 8))
    assert np.unravel_index(far.argmax(), kernel.shape) == (middle - 7, middle + 11)


@pytest.mark.parametrize("place", [(20, 20), (19.5, 19.5), (19.3, 20.4)])
def test_psf_image_is_centred_on_its_light(tmp_path: Path, place: tuple[float, float]) -> None:
    # An even side: Fourier transforms put the centre at (20, 20), the middle is at (19.5, 19.5).
    file = write(tmp_path / "psf.npy", gaussian((40, 40), *place, 2.5))
    kernel = render(0.05, type="image", file=file, pixel_scale=0.05)
    rows, columns = np.indices(kernel.shape) - len(kernel) // 2
    assert abs((kernel * rows).sum()) < 0.01
    assert abs((kernel * columns).sum()) < 0.01


@pytest.mark.parametrize(
    "header",
    [
        {"PIXELSCL": 0.025},
        {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CDELT1": -0.025 / 3600,
            "CDELT2": 0.025 / 3600,
        },
    ],
)
def test_the_pixel_scale_is_that_of_the_header(tmp_path: Path, header: dict[str, Any]) -> None:
    values = gaussian((41, 41), 20, 20, 3)
    fits.PrimaryHDU(values, fits.Header(header)).writeto(tmp_path / "psf.fits")
    found = render(type="image", file=tmp_path / "psf.fits")
    stated = render(type="image", file=write(tmp_path / "psf.npy", values), pixel_scale=0.025)
    assert np.allclose(found, stated, rtol=0, atol=1e-12)


def test_an_unknown_pixel_scale_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "psf.npy", gaussian((41, 41), 20, 20, 3))
    with pytest.raises(DataError) as caught:
        render(type="image", file=file)
    assert str(caught.value) == (
        f"{file}: its pixel scale is unknown; set 'pixel_scale', the side of its pixels in arcsec"
    )


def test_the_sky_of_a_psf_image_is_subtracted(tmp_path: Path) -> None:
    star = gaussian((41, 41), 20, 20, 2)
    clean = render(type="image", file=write(tmp_path / "star.npy", star), pixel_scale=0.05)
    file = write(tmp_path / "sky.npy", star + 0.05)
    with pytest.raises(DataError) as caught:
        render(type="image", file=file, pixel_scale=0.05)
    assert str(caught.value) == (
        f"{file}: with the level at its border, 77% of the light is not that of a star; set "
        "'sky: border' to subtract that level, or cut out a larger image"
    )
    for sky in ("border", 0.05):
        found = render(type="image", file=file, pixel_scale=0.05, sky=sky)
        assert np.allclose(found, clean, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.ones((2, 3, 3)), "the shape is (2, 3, 3); expected (H, W)"),
        (np.array([[1.0, np.nan]]), "1 of 2 values are not finite"),
        (np.zeros((3, 3)), "the sum of the values of a PSF must be positive"),
        (
            gaussian((21, 21), 10, 10, 2) - 0.02,
            "its negative values take away 39% of the light; correct its sky, or average more "
            "stars",
        ),
        (
            gaussian((20, 20), 3, 10, 1.0),
            "the light is centred at row 3.0 and column 10.0 of 20 x 20; expected near the middle",
        ),
    ],
)
def test_an_invalid_psf_image_is_refused(
    tmp_path: Path, values: np.ndarray[Any, Any], problem: str
) -> None:
    file = write(tmp_path / "psf.npy", values)
    with pytest.raises(DataError) as caught:
        render(type="image", file=file, pixel_scale=0.1)
    assert str(caught.value) == f"{file}: {problem}"


def test_a_file_without_an_image_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "table.fits"
    fits.BinTableHDU.from_columns([fits.Column("x", "D", array=[1.0])]).writeto(table)
    with pytest.raises(DataError) as caught:
        render(type="image", file=table, pixel_scale=0.1)
    assert str(caught.value) == f"{table}: contains no 2-D image; expected an image of a PSF"
    for name in ("text.fits", "text.npy"):
        (tmp_path / name).write_text("no image")
        with pytest.raises(DataError, match=rf"{name}: cannot be read as FITS or NPY: "):
            render(type="image", file=tmp_path / name, pixel_scale=0.1)
    missing = tmp_path / "missing.fits"
    with pytest.raises(DataError, match=r"missing\.fits: cannot be read .* No such file"):
        render(type="image", file=missing, pixel_scale=0.1)


def test_psfs_too_narrow_or_wide_for_the_pixels_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        render(1.0, type="gaussian", fwhm=0.06)
    assert str(caught.value) == (
        "the FWHM of the PSF is 0.06 arcsec, less than a tenth of an HR pixel of 1 arcsec; check "
        "that both are in arcsec"
    )
    with pytest.raises(ValueError) as caught:
        render(1e-5, type="gaussian", fwhm=0.06)
    assert str(caught.value) == (
        "the PSF extends to 0.15 arcsec, which is 15000 HR pixels of 1e-05 arcsec; expected at "
        "most 1024; check that both are in arcsec"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "airy"}, "expected either 'fwhm' or 'lambda_over_d', in arcsec"),
        (
            {"type": "airy", "fwhm": 1, "lambda_over_d": 1},
            "expected either 'fwhm' or 'lambda_over_d', in arcsec",
        ),
        (
            {"type": "gaussian", "fwhm": [0.9, 0.5]},
            "got [0.9, 0.5]; expected the lower end of the range first",
        ),
        (
            {"type": "gauss", "fwhm": 1},
            PSF_TYPES,
        ),
        ({"fwhm": 1}, PSF_TYPES),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PSF.validate_python(options)
    assert message in [
        error["msg"].removeprefix("Value error, ") for error in caught.value.errors()
    ]
