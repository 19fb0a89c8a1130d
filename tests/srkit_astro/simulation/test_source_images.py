"""Images as sources of lenses, compared with the profile that they show."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS
from srkit_astro.simulation.lens_population import Galaxy, Lens
from srkit_astro.simulation.lens_simulation import LensSimulation
from srkit_astro.simulation.sky import (
    grid,
    image_brightness,
    pixel_mean,
    render,
    surface_brightness,
)
from srkit_astro.simulation.source_images import SourceFolder, SourceImage, read_source

from srkit.components.options import build
from srkit.errors import DataError
from srkit.testing import check_dataset

PIXEL, SIDE = 0.02, 192
ANGLE = 0.7
HORIZONTAL = Galaxy(22.0, 0.25, 1.0, 0.6, 0.0, 0.0, 0.0)  # elongated along x
TURNED = replace(HORIZONTAL, angle=ANGLE, x=0.12, y=-0.08)
DEFLECTOR = Galaxy(19.5, 1.0, 4.0, 0.8, 0.3, 0.02, -0.03)
LENS = Lens(DEFLECTOR, TURNED, 0.5, 1.5, 250.0, 1.2, 3e11, (0.04, -0.02))


@cache
def photograph() -> np.ndarray:
    """Return an image of `HORIZONTAL` in an arbitrary unit, averaged over pixels."""
    x, y = (places.ravel() for places in grid(SIDE, PIXEL))
    return 3.7 * pixel_mean(HORIZONTAL, x, y, PIXEL).reshape(SIDE, SIDE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("galaxies")
    np.save(folder / "disc.npy", photograph())
    np.save(folder / "mirrored.npy", photograph()[None, ::-1])
    return folder


def make(**given: Any) -> LensSimulation:
    built = build(LensSimulation, {"length": 30, "size": 32, **given}, scale=2)
    assert isinstance(built, LensSimulation)
    return built


def write_fits(path: Path, values: np.ndarray, pixel: float | None = PIXEL) -> Path:
    header = fits.Header()
    if pixel:
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.cdelt = -pixel / 3600, pixel / 3600
        header = wcs.to_header()
    fits.writeto(path, values.astype(np.float32), header)
    return path


def test_a_lensed_image_agrees_with_the_lensed_profile(folder: Path) -> None:
    """They are compared after Hubble's PSF, since the pixels of the image blur the cusp."""
    image = replace(read_source(folder / "disc.npy", PIXEL), angle=ANGLE)
    dark = replace(LENS, source=replace(TURNED, magnitude=200))
    cameras = make(size=64).cameras
    expected, found, lens = (
        cameras.observe(render(*given))[0]
        for given in (
            (LENS, (), *cameras.sampling),
            (LENS, (), *cameras.sampling, image),
            (dark, (), *cameras.sampling),
        )
    )
    arcs = expected - lens
    assert np.abs(found - expected).max() < 0.02 * arcs.max()
    assert found.sum() == pytest.approx(expected.sum(), rel=1e-3)


def test_an_image_gets_the_flux_position_and_angle_of_a_galaxy(folder: Path) -> None:
    image = replace(read_source(folder / "disc.npy", PIXEL), angle=ANGLE)
    x, y = (places.ravel() for places in grid(400, 0.01))
    light = image_brightness(image, TURNED)(x, y)
    assert light.sum() * 0.01**2 == pytest.approx(10 ** (0.4 * (27 - 22)), rel=1e-3)
    assert np.average(x, weights=light) == pytest.approx(0.12, abs=1e-3)
    assert np.average(y, weights=light) == pytest.approx(-0.08, abs=1e-3)
    exact = surface_brightness(TURNED, x, y)
    assert np.abs(light - exact)[np.hypot(x - 0.12, y + 0.08) > 0.05].max() < 0.02 * light.max()


def test_contract_and_note(folder: Path) -> None:
    data = make(sources=folder, source_pixel_scale=PIXEL, substructure="all")
    check_dataset(data)
    assert data.notes == (f"using 2 images in {folder} as sources",)


def test_images_only_change_the_shape_of_the_source(folder: Path) -> None:
    plain, data = make(size=64), make(size=64, sources=folder, source_pixel_scale=PIXEL)
    assert data.lens(3) == plain.lens(3)
    again = make(size=64, sources=folder, source_pixel_scale=PIXEL)
    assert torch.equal(data[3].hr, again[3].hr)
    ours, theirs = data.observe(3)[0], plain.observe(3)[0]
    assert np.abs(ours - theirs).max() > 0.01 * theirs.max()
    assert data.sources is not None
    drawn = [data.sources.draw(data._streams(i)[3]) for i in range(20)]
    assert len({image.angle for image in drawn}) == 20
    assert {image.path.stem for image in drawn} == {"disc", "mirrored"}


def test_the_wcs_of_fits_has_the_pixel_scale(tmp_path: Path) -> None:
    image = read_source(write_fits(tmp_path / "disc.fits", photograph(), 0.03), PIXEL)
    assert image.pixel == pytest.approx(0.03, rel=1e-6)
    assert image.light.sum() * image.pixel**2 == pytest.approx(1)


def test_the_unit_of_an_image_does_not_matter(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", photograph())
    np.save(tmp_path / "b.npy", 1e-3 * photograph())
    one, other = SourceFolder(tmp_path, PIXEL).images
    np.testing.assert_allclose(one.light, other.light, rtol=1e-5)
    assert isinstance(one, SourceImage)


def spoilt(kind: str) -> np.ndarray:
    values = photograph().copy()
    if kind == "infinite":
        values[3, 4:6] = np.inf
    return {"constant": np.full((4, 4), 2.0), "cube": np.stack([values] * 3), "sky": -values}.get(
        kind, values
    )


@pytest.mark.parametrize(
    ("kind", "pixel", "expected"),
    [
        (
            "infinite",
            0.1,
            "2 of 36864 pixels have no value (NaN, infinite or masked); fill them, or remove the "
            "file",
        ),
        ("constant", 0.1, "every pixel has the value 2; expected the image of a galaxy"),
        ("cube", 0.1, "contains 3 planes; expected one band"),
        (
            "good",
            None,
            "has no pixel scale; set source_pixel_scale, the side of a pixel in arcsec",
        ),
    ],
)
def test_unusable_images_are_refused(
    kind: str, pixel: float | None, expected: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", spoilt(kind))
    with pytest.raises(DataError) as caught:
        make(sources=tmp_path, **({} if pixel is None else {"source_pixel_scale": pixel}))
    assert str(caught.value) == f"{tmp_path / 'a.npy'}: {expected}"


def test_images_without_flux_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1.0, -3.0], [0.0, 0.5]]))
    with pytest.raises(DataError) as caught:
        read_source(tmp_path / "a.npy", 0.1)
    assert str(caught.value) == (
        f"{tmp_path / 'a.npy'}: the total flux is -1.5; expected more than 0, with the sky "
        "subtracted"
    )


def test_fits_without_a_wcs_needs_a_pixel_scale(tmp_path: Path) -> None:
    path = write_fits(tmp_path / "a.fits", photograph(), None)
    with pytest.raises(DataError, match="has no pixel scale; set source_pixel_scale"):
        read_source(path, None)
    assert read_source(path, 0.05).pixel == 0.05


@pytest.mark.parametrize("there", [True, False])
def test_folders_without_images_are_refused(there: bool, tmp_path: Path) -> None:
    folder = tmp_path if there else tmp_path / "galaxies"
    with pytest.raises(DataError) as caught:
        make(sources=folder)
    expected = "contains no images; expected .npy" if there else "no such folder"
    assert str(caught.value).startswith(f"{folder}: {expected}")


def test_a_pixel_scale_needs_sources() -> None:
    with pytest.raises(ValueError) as caught:
        LensSimulation(scale=2, source_pixel_scale=0.03)
    assert str(caught.value) == "source_pixel_scale needs sources, the folder of the images"


def test_the_angle_is_from_x_towards_y() -> None:
    stripe = np.zeros((41, 41))
    stripe[20, 20:] = 1  # towards positive x
    image = SourceImage(Path("stripe"), stripe / stripe.sum() / PIXEL**2, PIXEL, math.pi / 2)
    light = image_brightness(image, replace(HORIZONTAL, x=0, y=0))
    assert light(np.array([0.0]), np.array([0.3]))[0] > 0
    assert light(np.array([0.3]), np.array([0.0]))[0] == pytest.approx(0, abs=1e-9)
