from __future__ import annotations

import math

import galsim
import numpy as np
import pytest
from srkit_astro.instruments.psf import GaussianPsf
from srkit_astro.validation.psf import renderer_of
from srkit_astro.validation.sources import CURVATURE, ENCLOSED, FINE, Renderer, Source, Stamp

PIXEL, FWHM = 0.168, 0.7


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return renderer_of(GaussianPsf(type="gaussian", fwhm=FWHM), PIXEL)


def _centroid(stamp: Stamp) -> tuple[float, float]:
    rows, columns = np.indices(stamp.pixels.shape)
    return float((columns * stamp.pixels).sum()), float((rows * stamp.pixels).sum())


def test_the_fwhm_is_that_of_the_psf(renderer: Renderer) -> None:
    assert renderer.fwhm == pytest.approx(FWHM / PIXEL, rel=0.01)


@pytest.mark.parametrize("step", [(2, 2), (0, 4)])
@pytest.mark.parametrize(
    "source",
    [
        Source("point", 1),
        Source("galaxy", 1, radius=0.6, ratio=0.5, index=1.5, angle=0.7),
        Source("pair", 1, separation=1.3, angle=2.0),
    ],
    ids=lambda source: source.kind,
)
def test_flux_and_position(renderer: Renderer, source: Source, step: tuple[int, int]) -> None:
    stamp = renderer.render(source, step)
    assert stamp.pixels.sum() == pytest.approx(1)
    expected = [renderer.reach + (each + 0.5) / FINE - 0.5 for each in step]
    assert stamp.centre.tolist() == pytest.approx(expected)
    assert _centroid(stamp) == pytest.approx(tuple(expected), abs=0.01)


@pytest.mark.parametrize("kind", ["point", "galaxy"])
def test_pixels_are_those_of_galsim(renderer: Renderer, kind: str) -> None:
    psf, angle = galsim.Gaussian(fwhm=FWHM), 0.4
    if kind == "point":
        source, profile = Source("point", 1), psf
    else:
        source = Source("galaxy", 1, radius=0.8, ratio=0.6, index=1.0, angle=angle)
        # GalSim's radius is that of the circle, and its position angle the same.
        major = 0.8 * renderer.fwhm * PIXEL
        disc = galsim.Sersic(n=1, half_light_radius=major * math.sqrt(0.6))
        profile = galsim.Convolve(disc.shear(q=0.6, beta=angle * galsim.radians), psf)
    stamp = renderer.render(source)
    side = len(stamp.pixels)
    drawn = profile.drawImage(nx=side, ny=side, scale=PIXEL).array
    np.testing.assert_allclose(stamp.pixels, drawn, atol=0.01 * drawn.max())


def test_an_arc_lies_on_its_circle(renderer: Renderer) -> None:
    source = Source("arc", 1, angle=math.pi / 2)
    stamp = renderer.render(source)
    rows, columns = np.nonzero(stamp.sky > 0.5 * stamp.sky.max())
    unit = FINE * renderer.fwhm
    middle = (renderer.reach + 0.5) * FINE - 0.5
    x, y = (columns - middle) / unit, (rows - middle) / unit + CURVATURE
    assert np.hypot(x, y) == pytest.approx(np.full(len(x), CURVATURE), abs=0.26)
    spine = source.spine()
    assert np.hypot(spine[:, 0], spine[:, 1] + CURVATURE) == pytest.approx(
        np.full(len(spine), CURVATURE)
    )


def test_the_aperture_contains_its_share(renderer: Renderer) -> None:
    stamp = renderer.render(Source("point", 1))
    sigma = FWHM / PIXEL / 2.3548
    # The flux of a Gaussian within a radius has a closed form.
    assert 1 - math.exp(-0.5 * (stamp.aperture / sigma) ** 2) == pytest.approx(ENCLOSED, abs=0.005)
    assert stamp.gain == pytest.approx(1 / ENCLOSED - 1, abs=0.003)


def test_the_ellipticity_before_the_psf() -> None:
    assert Source("galaxy", 1, ratio=0.5, angle=0).distortion == pytest.approx(0.6)
    assert Source("galaxy", 1, ratio=0.5, angle=math.pi / 4).distortion == pytest.approx(0.6j)
