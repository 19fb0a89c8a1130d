from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sources_setup import SIDE, batch, gaussian, images, noise
from srkit_astro.metrics.detection import Completeness, FalseDetectionRate, count_matches, detect

PLACES = ((20.0, 24.0), (70.0, 30.0), (44.0, 72.0))


def sky(seed: int = 0, level: float = 0.0) -> torch.Tensor:
    return level + noise(SIDE, SIDE, seed=seed, sigma=0.02)


def field(*places: tuple[float, float], seed: int = 0, level: float = 0.0) -> torch.Tensor:
    return sky(seed, level) + sum(gaussian(x, y) for x, y in places)


def test_sources_are_detected_at_their_positions() -> None:
    found = detect(field(*PLACES, level=-3.0).numpy())
    assert found.sky == pytest.approx(-3.0, abs=0.005)
    assert found.threshold == pytest.approx(5 * 0.02, rel=0.1)
    ordered = sorted(map(tuple, found.positions))
    np.testing.assert_allclose(ordered, sorted(PLACES), atol=0.1)


def test_sources_are_sorted_by_flux_and_flagged_at_the_edge() -> None:
    light = sky() + gaussian(30, 30, flux=50) + gaussian(60, 50, flux=200) + gaussian(0, 80)
    found = detect(light.numpy())
    assert found.positions[0] == pytest.approx([60, 50], abs=0.1)
    assert len(found) == 3
    assert len(found.whole) == 2


def test_sources_are_detected_without_noise_but_not_in_constant_images() -> None:
    assert len(detect(gaussian(40, 40).numpy())) == 1
    assert len(detect(np.full((SIDE, SIDE), 2.0))) == 0


def test_noise_has_no_sources() -> None:
    assert len(detect(sky().numpy())) == 0


def test_the_catalogue_agrees_with_photutils() -> None:
    segmentation = pytest.importorskip("photutils.segmentation")
    light = field(*PLACES, seed=4).numpy()
    found = detect(light)
    image = light - found.sky
    labels = segmentation.detect_sources(image, found.threshold, 5)
    other = segmentation.SourceCatalog(image, labels)
    theirs = sorted(map(tuple, other.centroid))
    np.testing.assert_allclose(sorted(map(tuple, found.positions)), theirs, atol=0.1)


def test_matches_are_one_to_one() -> None:
    both = detect((gaussian(40, 40) + gaussian(56, 40)).numpy())
    between = detect(gaussian(48, 40).numpy())
    assert count_matches(both, between, 10) == 1
    assert count_matches(both, between, 5) == 0
    assert count_matches(both, both, 20) == 2


def test_completeness_is_the_fraction_of_detected_sources() -> None:
    hr = images(field(*PLACES), field(*PLACES))
    sr = images(field(*PLACES[:2], seed=1), field(*PLACES, seed=2))
    assert Completeness()(sr, batch(hr)).tolist() == pytest.approx([2 / 3, 1.0])
    assert FalseDetectionRate()(sr, batch(hr)).tolist() == [0.0, 0.0]


def test_false_detections_are_sources_missing_in_hr() -> None:
    hr, sr = images(field(*PLACES)), images(field(*PLACES, (76.0, 76.0), seed=1))
    assert FalseDetectionRate()(sr, batch(hr)).tolist() == pytest.approx([1 / 4])
    assert Completeness()(sr, batch(hr)).tolist() == [1.0]


def test_the_radius_is_in_lr_pixels() -> None:
    hr, sr = images(gaussian(40, 40)), images(gaussian(43, 40))
    for radius, found in ((1.4, 0.0), (1.6, 1.0)):  # the sources are 1.5 LR pixels apart
        assert Completeness(radius=radius)(sr, batch(hr)).tolist() == [found]
        assert FalseDetectionRate(radius=radius)(sr, batch(hr)).tolist() == [1 - found]


def test_sr_is_searched_down_to_the_threshold_of_hr() -> None:
    """A faint ghost in noise-free SR is not detected if the noise of HR would hide it."""
    hr = images(field(PLACES[0]))
    ghost = gaussian(*PLACES[0]) + gaussian(*PLACES[1], flux=2)
    assert detect(ghost.numpy()).catalogue.size == 2
    assert FalseDetectionRate()(images(ghost), batch(hr)).tolist() == [0.0]


def test_values_without_sources_are_undefined() -> None:
    empty, full = images(sky()), images(field(*PLACES))
    assert math.isnan(Completeness()(full, batch(empty)).item())
    assert FalseDetectionRate()(full, batch(empty)).item() == 1
    assert math.isnan(FalseDetectionRate()(empty, batch(full)).item())
    assert Completeness()(empty, batch(full)).item() == 0
