from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sources_setup import batch, gaussian, images
from srkit_astro.metrics.detection import detect
from srkit_astro.metrics.photometry import (
    ApertureFluxError,
    FluxError,
    IsophotalFluxError,
    PeakError,
    isophote,
)

BRIGHTER = -2.5 * math.log10(1.1)
FAINTER = -2.5 * math.log10(0.9)


def test_flux_errors_are_in_magnitudes() -> None:
    hr = images(gaussian(40, 40) + gaussian(70, 70), gaussian(50, 30)).repeat(1, 3, 1, 1)
    for metric in (FluxError(), ApertureFluxError()):
        found = metric(hr * torch.tensor([1.1, 0.9])[:, None, None, None], batch(hr))
        assert found.tolist() == pytest.approx([BRIGHTER, FAINTER], abs=1e-5)
        assert metric(hr, batch(hr)).tolist() == [0.0, 0.0]


def test_the_total_flux_includes_all_pixels() -> None:
    hr, pedestal = images(gaussian(40, 40, flux=100)), 0.001
    expected = -2.5 * math.log10(1 + pedestal * hr.numel() / 100)
    assert FluxError()(hr + pedestal, batch(hr)).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("sr", "hr"), [(-1.0, 1.0), (1.0, -1.0), (0.0, 1.0)])
def test_a_flux_that_is_not_positive_has_no_magnitude(sr: float, hr: float) -> None:
    light = images(gaussian(40, 40))
    assert math.isnan(FluxError()(sr * light, batch(hr * light)).item())


def test_apertures_contain_the_analytic_flux_of_a_gaussian() -> None:
    """The fraction within r is ``1 - exp(-r**2 / (2 sigma**2))``; HR and SR differ in sigma."""
    hr, sr = images(gaussian(48.3, 47.8, sigma=2)), images(gaussian(48.3, 47.8, sigma=3))
    within = [1 - math.exp(-0.5 * (4 / sigma) ** 2) for sigma in (3, 2)]
    found = ApertureFluxError(radius=2)(sr, batch(hr))  # 4 HR pixels
    assert found.item() == pytest.approx(-2.5 * math.log10(within[0] / within[1]), abs=0.003)


def test_apertures_average_over_the_sources() -> None:
    hr = gaussian(25, 25) + gaussian(70, 70)
    sr = 1.1 * gaussian(25, 25) + 0.9 * gaussian(70, 70)
    found = ApertureFluxError()(images(sr), batch(images(hr)))
    assert found.item() == pytest.approx((BRIGHTER + FAINTER) / 2, abs=1e-4)


def test_the_sky_of_hr_is_subtracted_in_apertures() -> None:
    light = images(gaussian(48, 48))
    found = ApertureFluxError()(1.1 * light + 7, batch(light + 7))
    assert found.item() == pytest.approx(BRIGHTER, abs=1e-3)


def test_sources_at_the_edge_or_missing_in_sr_are_left_out() -> None:
    hr = gaussian(3, 48) + gaussian(60, 48) + gaussian(30, 80)
    sr = 5 * gaussian(3, 48) + 1.1 * gaussian(60, 48) - gaussian(30, 80)
    found = ApertureFluxError()(images(sr), batch(images(hr)))
    assert found.item() == pytest.approx(BRIGHTER, abs=1e-3)
    assert math.isnan(ApertureFluxError()(-images(hr), batch(images(hr))).item())


def test_the_isophote_contains_the_analytic_flux_of_a_gaussian() -> None:
    """A Gaussian exceeds the fraction t of its peak within ``r**2 = -2 sigma**2 ln t``."""
    hr, sr = gaussian(48.3, 47.8, sigma=4), gaussian(48.3, 47.8, sigma=5)
    found = detect(hr.numpy())
    inside = isophote(found)
    fraction = found.threshold / hr.max().item()
    square = -2 * 16 * math.log(fraction)
    assert inside.sum() == pytest.approx(math.pi * square, rel=0.02)
    within = [1 - math.exp(-0.5 * square / sigma**2) for sigma in (5, 4)]
    error = IsophotalFluxError()(images(sr), batch(images(hr))).item()
    assert error == pytest.approx(-2.5 * math.log10(within[0] / within[1]), abs=0.002)


def test_the_isophote_belongs_to_the_brightest_whole_source() -> None:
    hr = gaussian(3, 48, flux=300) + gaussian(60, 48) + gaussian(30, 80, flux=50)
    sr = 5 * gaussian(3, 48, flux=300) + 1.1 * gaussian(60, 48) - gaussian(30, 80, flux=50)
    light = images(sr) + 3, images(hr) + 3
    assert IsophotalFluxError()(light[0], batch(light[1])).item() == pytest.approx(
        BRIGHTER, abs=1e-3
    )
    assert math.isnan(IsophotalFluxError()(-light[1], batch(light[1])).item())


def test_peaks_are_compared_within_the_radius() -> None:
    hr = images(gaussian(30, 30) + gaussian(70, 66))
    assert PeakError()(0.8 * hr, batch(hr)).item() == pytest.approx(-0.2, abs=1e-5)
    moved = images(gaussian(32, 30) + gaussian(72, 66))
    assert PeakError()(moved, batch(hr)).item() == pytest.approx(0, abs=1e-5)
    narrow = PeakError(radius=0.5)(moved, batch(hr)).item()
    assert narrow == pytest.approx(math.exp(-1 / 18) - 1, abs=1e-4)  # one pixel off, sigma 3


def test_a_blur_lowers_the_peak() -> None:
    hr, sr = images(gaussian(48, 48, sigma=3)), images(gaussian(48, 48, sigma=4))
    assert PeakError()(sr, batch(hr)).item() == pytest.approx(9 / 16 - 1, abs=1e-3)


def test_values_without_sources_are_undefined() -> None:
    flat = torch.ones(2, 1, 64, 64)
    for metric in (ApertureFluxError(), IsophotalFluxError(), PeakError()):
        assert np.isnan(metric(flat, batch(flat)).numpy()).all()


@pytest.mark.parametrize("kind", [FluxError, ApertureFluxError, IsophotalFluxError, PeakError])
def test_photometry_is_signed(kind: type[FluxError | IsophotalFluxError]) -> None:
    metric = kind()
    assert metric.signed
    assert not metric.higher_is_better
