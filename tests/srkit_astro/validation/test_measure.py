"""Restorers with known properties: LR itself, the truth, and one that loses or moves light."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage
from srkit_astro.instruments.psf import GaussianPsf
from srkit_astro.validation.detection import measure_background
from srkit_astro.validation.measure import Record, Ruler, View, to_lr, to_sr
from srkit_astro.validation.plan import Injected, Placed, with_photon_noise
from srkit_astro.validation.psf import renderer_of
from srkit_astro.validation.sources import FINE, Floats, Source, Stamp
from srkit_astro.validation.study import flux_of

from srkit.functional import Noise

SIDE, NOISE = 61, 0.01
RENDERER = renderer_of(GaussianPsf(type="gaussian", fwhm=4.0), 1.0)
GALAXY = Source("galaxy", 1, radius=1.2, ratio=0.4, index=1, angle=0.6)
FLUX = 100.0

Show = Callable[[Stamp], Floats]


def observed(stamp: Stamp) -> Floats:
    return stamp.pixels


def truth(stamp: Stamp) -> Floats:
    """Return the source on fine pixels, with a PSF of a fifth of the width of that of LR."""
    return np.asarray(ndimage.gaussian_filter(stamp.sky, 4.0 / 2.3548))


def blurred(stamp: Stamp) -> Floats:
    return stamp.blurred


def measured(
    shape: Source, show: Show, flux: float = FLUX, seed: int = 0, gain: float | None = None
) -> tuple[Record, int]:
    """Measure a source as a restorer shows it; return the record and the count of false sources."""
    placed = Placed(shape, ((SIDE - 1) // 2 - RENDERER.reach,) * 2, (1, 3))
    stamp = RENDERER.render(shape, placed.step)
    light = with_photon_noise(flux * stamp.pixels, gain, np.random.default_rng((seed, 1)))
    image = light / flux if gain else show(stamp)
    scale = len(image) // len(stamp.pixels)
    window = 3 + np.random.default_rng(seed).normal(0, NOISE / scale, (SIDE * scale,) * 2)
    background = measure_background(window, scale * RENDERER.fwhm)
    view = View(window, scale, background, None, to_lr(background.detect(5), scale))
    injected = window.copy()
    start = placed.corner[0] * scale
    injected[start : start + len(image), start : start + len(image)] += flux * image
    ruler = Ruler(RENDERER.fwhm, 5, RENDERER.render(Source("point", 1)).aperture)
    source = Injected(placed, stamp, flux, light)
    records, false = ruler.measure(injected, view, [source])
    return records[0], len(false)


@pytest.mark.parametrize("show", [observed, blurred, truth])
@pytest.mark.parametrize("source", [Source("point", 1), GALAXY], ids=["point", "galaxy"])
def test_a_restorer_that_keeps_light_has_no_bias(source: Source, show: Show) -> None:
    record, false = measured(source, show)
    assert record["found"] and not false
    sharper = RENDERER.render(source).gain if show is truth else 0.0
    for key in ("flux", "frame_flux"):
        assert -0.01 < record[key] < sharper + 0.01
    assert [record["dx"], record["dy"]] == pytest.approx([0, 0], abs=0.02)


def test_lost_and_moved_light_is_measured() -> None:
    record, _ = measured(Source("point", 1), lambda s: 0.8 * np.roll(s.blurred, (-2, 1), (0, 1)))
    assert record["flux"] == pytest.approx(-0.2, abs=0.01)
    assert record["frame_flux"] == pytest.approx(-0.2, abs=0.01)
    assert [record["dx"], record["dy"]] == pytest.approx([1 / FINE, -2 / FINE], abs=0.02)


def test_only_the_psf_rounds() -> None:
    of_truth, of_lr = measured(GALAXY, truth)[0], measured(GALAXY, observed)[0]
    assert of_truth["m"] == pytest.approx(0, abs=0.05)
    assert of_truth["cross"] == pytest.approx(0, abs=0.02)
    # By GalSim: the disc of this size loses so much of its distortion by the PSF.
    assert of_lr["m"] == pytest.approx(_lost_by_galsim(), abs=0.02)


def _lost_by_galsim() -> float:
    import galsim

    radius = GALAXY.radius * RENDERER.fwhm * np.sqrt(GALAXY.ratio)
    disc = galsim.Sersic(n=1, half_light_radius=radius).shear(
        q=GALAXY.ratio, beta=GALAXY.angle * galsim.radians
    )
    image = galsim.Convolve(disc, galsim.Gaussian(fwhm=4.0)).drawImage(nx=101, ny=101, scale=1)
    shape = galsim.hsm.FindAdaptiveMom(image).observed_shape
    return float(abs(complex(shape.e1, shape.e2)) / abs(GALAXY.distortion) - 1)


def test_a_pair_is_two_sources_only_where_both_are_seen() -> None:
    def pair(separation: float) -> Source:
        return Source("pair", 1, separation=separation, angle=0.3)

    assert measured(pair(2.0), observed)[0]["found"]
    assert not measured(pair(0.75), observed)[0]["found"]
    assert measured(pair(0.75), truth)[0]["found"]
    assert measured(pair(0.75), observed)[1] == 0  # two that are seen as one are not false
    assert not measured(pair(0.0), observed)[0]["found"]


def test_a_source_that_is_split_has_a_false_one() -> None:
    def split(stamp: Stamp) -> Floats:
        halves = (np.roll(stamp.pixels, shift, 1) / 2 for shift in (-5, 5))
        return np.asarray(sum(halves))

    record, false = measured(Source("point", 1), split)
    assert not record["found"] and false == 2


def test_completeness_is_that_of_the_threshold() -> None:
    faint = [measured(Source("point", 1), observed, flux=1e-3, seed=s)[0] for s in range(20)]
    assert not any(record["found"] for record in faint)
    bright = [measured(Source("point", 1), observed, flux=3.0, seed=s)[0] for s in range(20)]
    assert all(record["found"] for record in bright)


def test_the_flux_has_the_signal_to_noise_ratio() -> None:
    profile = RENDERER.render(Source("point", 1)).pixels
    kernel = np.zeros((13, 13))
    kernel[6, 6] = 1
    flux = flux_of(7, profile, Noise(NOISE, kernel))
    rng = np.random.default_rng(0)
    noise = rng.normal(0, NOISE, (4000, *profile.shape))
    # Least squares of an image by its own profile.
    fitted = (noise * profile).sum((1, 2)) / (profile**2).sum()
    assert flux / fitted.std() == pytest.approx(7, rel=0.05)


def test_positions_on_both_grids() -> None:
    assert to_sr(np.array([0.0, 1.0]), 2).tolist() == [0.5, 2.5]
    assert to_lr(to_sr(np.array([0.3, 7.0]), 3), 3) == pytest.approx([0.3, 7.0])


def test_photon_noise_is_an_error_for_the_observer_alone() -> None:
    """A restoration that shows what was injected has no bias, whatever was drawn."""
    found = [measured(Source("point", 1), observed, seed=s, gain=1.0)[0] for s in range(40)]
    assert all(abs(each["flux"]) < 1e-4 for each in found)
    # 98 photons are within the aperture.
    assert np.std([each["frame_flux"] for each in found]) == pytest.approx(0.1, rel=0.3)
