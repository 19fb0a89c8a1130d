"""`srkit upscale` keeps the WCS, the flux and the header of FITS images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from photutils.centroids import centroid_com
from rich.console import Console
from srkit_astro.constraints import Flux
from srkit_astro.instruments.psf import MoffatPsf
from srkit_astro.stretches import Asinh
from upscale_setup import FailedError, upscale_file

from srkit import __version__
from srkit.assembly.variance_head import VarianceHead
from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.interfaces.quantity import Quantity
from srkit.models.open import Model, Provenance
from srkit.upscaling.files import FileUpscaler, upscale_files
from srkit.upscaling.jobs import plan
from srkit.upscaling.upscaler import ImageUpscaler

SIDE = 0.168
#: The quantity that the lens recipes train on.
LENSES = Quantity("count / s", 27.0, SIDE / 2, (0.0, 45.0))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


@pytest.fixture(scope="module")
def formats(registry: Registry) -> Formats:
    return Formats.of(registry)


def _model(registry: Registry, *, constrained: bool = True) -> Model:
    """Return an untrained model: WCS and flux do not depend on the network."""
    torch.manual_seed(1)
    factory = registry.get("generators", "edsr").factory
    generator = factory(scale=2, channels=1, blocks=1, features=8).eval()
    psf, source = (
        MoffatPsf(type="moffat", fwhm=0.6, beta=3.0),
        MoffatPsf(type="moffat", fwhm=0.1, beta=2.0),
    )
    return Model(
        "lens_hst",
        generator,
        2,
        1,
        Asinh(peak=45, softening=0.003),
        Flux(psf=psf, source=source) if constrained else None,
        LENSES,
        Provenance(Path("best.safetensors"), "ab" * 32, "lens_hst", "0.1.0"),
    )


def _write(path: Path, flux: float = 1.0, **header: object) -> np.ndarray:
    """Write an off-centre source on a noisy sky, with mask and WCS."""
    y, x = np.mgrid[:40, :48]
    noise = np.random.default_rng(0).normal(0, 0.02, y.shape)
    values = 30 * np.exp(-((x - 21.3) ** 2 + (y - 18.8) ** 2) / 12) + noise
    values = (values * flux).astype(np.float32)
    stated = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0}
    stated |= {"CRPIX1": 20.0, "CRPIX2": 16.0, "CD1_1": -SIDE / 3600, "CD2_2": SIDE / 3600}
    hdu = fits.PrimaryHDU(values, fits.Header({**stated, **header}))
    names = fits.Header({"HIERARCH MP_DETECTED": 0})
    mask = fits.ImageHDU((values > 25 * flux).astype(np.int16), names, name="MASK")
    fits.HDUList([hdu, mask]).writeto(path)
    return values


def _source_on_sky(values: np.ndarray, header: fits.Header, scale: float) -> SkyCoord:
    """Return the centroid of the source, in a box around it."""
    top, bottom, left, right = (int(edge * scale) for edge in (4, 34, 6, 36))
    x, y = centroid_com(values[top:bottom, left:right])
    return WCS(header).pixel_to_world(x + left, y + top)


@pytest.mark.parametrize("scale", [2.0, 1.5, 3.5])
def test_a_source_keeps_its_position_and_flux(
    tmp_path: Path, registry: Registry, formats: Formats, scale: float
) -> None:
    values = _write(tmp_path / "lens.fits", BUNIT="count / s", MAGZERO=27.0)
    source, target = tmp_path / "lens.fits", tmp_path / "sr.fits"
    upscale_file(source, target, ImageUpscaler(_model(registry), scale=scale), formats)
    with fits.open(target) as hdus:
        sr, header, mask = hdus[0].data.astype(float), hdus[0].header, hdus["MASK"].data
    assert sr.shape == (40 * scale, 48 * scale)
    assert sr.sum() == pytest.approx(values.sum(), rel=1e-5 if scale == 2 else 1e-3)
    sky = _source_on_sky(values, fits.getheader(source), 1)
    again = _source_on_sky(sr, header, scale)
    assert sky.separation(again).arcsec < 0.05 * SIDE
    assert mask.mean() == pytest.approx((values > 25).mean(), rel=0.25)
    assert header["BUNIT"] == "count / s"
    assert header["MAGZERO"] == 27.0


def test_the_history_names_the_model(tmp_path: Path, registry: Registry, formats: Formats) -> None:
    _write(tmp_path / "lens.fits", BUNIT="count / s", MAGZERO=27.0)
    source, target = tmp_path / "lens.fits", tmp_path / "sr.fits"
    upscale_file(source, target, ImageUpscaler(_model(registry)), formats)
    lines = "\n".join(fits.getheader(target)["HISTORY"])
    assert f"srkit {__version__} upscale: scale 2, model lens_hst" in lines
    assert "recipe lens_hst, trained with srkit 0.1.0" in lines
    assert "abab" in lines
    assert "Flux per pixel: 2x2 pixels share the flux of one." in lines


@pytest.mark.parametrize(
    ("header", "magnitude"),
    [
        ({"BUNIT": "nJy"}, 31.4),
        ({"BUNIT": "electron / s", "PHOTFLAM": 7.072e-20, "PHOTPLAM": 8045.0}, 25.943),
        ({"BUNIT": "adu", "FLUXMAG0": 10**10.8}, 27.0),
    ],
)
def test_any_calibration_gives_the_same_result(
    tmp_path: Path,
    registry: Registry,
    formats: Formats,
    header: dict[str, object],
    magnitude: float,
) -> None:
    upscaler = ImageUpscaler(_model(registry))
    found = []
    for name, flux, stated in (
        ("counts", 1.0, {"BUNIT": "count / s", "MAGZERO": 27.0}),
        ("other", 10 ** (0.4 * (magnitude - 27)), header),
    ):
        source, target = tmp_path / f"{name}.fits", tmp_path / f"{name}_sr.fits"
        _write(source, flux, **stated)
        upscale_file(source, target, upscaler, formats)
        found.append(fits.getdata(target) / flux)
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-3 * found[0].max())


@pytest.mark.parametrize("predicted", [True, False])
def test_variance_and_spread_are_in_the_units_of_the_file(
    tmp_path: Path, registry: Registry, formats: Formats, predicted: bool
) -> None:
    found = []
    head = VarianceHead(channels=1, features=4) if predicted else None
    upscaler = ImageUpscaler(replace(_model(registry), head=head), uncertainty=True)
    name, unit = ("UNCERT", "(count / s)**2") if predicted else ("SPREAD", "count / s")
    for file, flux, magnitude in (("a", 1.0, 27.0), ("b", 100.0, 32.0)):
        source, target = tmp_path / f"{file}.fits", tmp_path / f"{file}_sr.fits"
        _write(source, flux, BUNIT="count / s", MAGZERO=magnitude)
        upscale_file(source, target, upscaler, formats)
        with fits.open(target) as hdus:
            assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK", name]
            assert hdus[name].header["BUNIT"] == unit
            assert hdus[name].data.shape == hdus[0].data.shape
            values = hdus[name].data.astype(float)
        found.append((np.sqrt(values) if predicted else values) / flux)
    assert (found[0] > 0).mean() > 0.99
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-3 * found[0].max())


def test_images_without_a_zero_point_need_the_option(
    tmp_path: Path, registry: Registry, formats: Formats
) -> None:
    _write(tmp_path / "raw.fits", BUNIT="adu")
    source, target = tmp_path / "raw.fits", tmp_path / "sr.fits"
    with pytest.raises(FailedError) as caught:
        upscale_file(source, target, ImageUpscaler(_model(registry)), formats)
    assert str(caught.value) == (
        f"{source}: states no zero point, but the network was trained on calibrated fluxes "
        "(AB 27); give it with --zero-point"
    )
    upscale_file(source, target, ImageUpscaler(_model(registry)), formats, zero_point=26.5)
    assert "zero point 26.5 by the user" in list(fits.getheader(target)["HISTORY"])


def test_nan_is_preserved(tmp_path: Path, registry: Registry, formats: Formats) -> None:
    values = _write(tmp_path / "lens.fits", BUNIT="count / s", MAGZERO=27.0)
    values[2:4, 5] = np.nan
    fits.PrimaryHDU(values, fits.getheader(tmp_path / "lens.fits")).writeto(tmp_path / "nan.fits")
    source, target = tmp_path / "nan.fits", tmp_path / "sr.fits"
    notes = upscale_file(source, target, ImageUpscaler(_model(registry)), formats)
    assert notes == ["2 pixels have no value, and none in SR either"]
    sr = fits.getdata(target)
    expected = np.zeros(sr.shape, bool)
    expected[4:8, 10:12] = True
    np.testing.assert_array_equal(np.isnan(sr), expected)


def test_another_pixel_scale_is_noted(tmp_path: Path, registry: Registry, formats: Formats) -> None:
    _write(tmp_path / "lens.fits", BUNIT="count / s", MAGZERO=27.0, CD1_1=-1e-4, CD2_2=1e-4)
    source, target = tmp_path / "lens.fits", tmp_path / "sr.fits"
    upscaler = ImageUpscaler(_model(registry, constrained=False))
    note, flux = upscale_file(source, target, upscaler, formats)
    assert note == (
        "the pixel scale is 0.36 arcsec but the network was trained at 0.168; its PSF will not "
        "match"
    )
    assert flux.startswith("the model changes the total flux by ")  # it is not trained


def test_a_damaged_file_does_not_stop_a_folder(
    tmp_path: Path, registry: Registry, formats: Formats
) -> None:
    frames = tmp_path / "frames"
    (frames / "deep").mkdir(parents=True)
    _write(frames / "a.fits", BUNIT="count / s", MAGZERO=27.0)
    _write(frames / "deep" / "c.fits.gz", BUNIT="count / s", MAGZERO=27.0)
    (frames / "b.fits").write_bytes((frames / "a.fits").read_bytes()[:4000])
    jobs = plan([str(frames)], tmp_path / "sr", formats, "x2", None).jobs
    upscaler = ImageUpscaler(_model(registry))
    outcome = upscale_files(jobs, FileUpscaler(upscaler), Console(quiet=True))
    assert str(outcome) == "2 restored by lens_hst, 1 failed"
    assert outcome.failed[0].startswith(f"{frames / 'b.fits'}: cannot be read as FITS")
    written = sorted(p.relative_to(tmp_path / "sr") for p in (tmp_path / "sr").rglob("*.*"))
    assert written == [Path("a.fits"), Path("deep/c.fits.gz")]
    again = upscale_files(jobs, FileUpscaler(upscaler), Console(quiet=True))
    assert str(again) == "0 restored, 2 skipped (output exists; --overwrite replaces it), 1 failed"
