from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from srkit_astro.validation.plan import (
    CLEAR,
    SEPARATIONS,
    SINGLE,
    Injected,
    Placed,
    draw_sources,
    inject,
    place_sources,
    with_photon_noise,
)
from srkit_astro.validation.sources import Source, Stamp

REACH, FWHM = 8, 3.0


def test_every_kind_is_drawn_equally_often() -> None:
    sources = draw_sources([3, 10], 4, seed=0)
    counts = Counter((each.kind, each.snr) for each in sources if each.kind != "pair")
    assert counts == {(kind, snr): 4 for kind in SINGLE for snr in (3, 10)}
    pairs = Counter(each.separation for each in sources if each.kind == "pair")
    assert pairs == dict.fromkeys(SEPARATIONS, 4)
    assert sources == draw_sources([3, 10], 4, seed=0) != draw_sources([3, 10], 4, seed=1)


def test_places_are_free_and_apart() -> None:
    rng = np.random.default_rng(0)
    occupied = [rng.random((90, 120)) > 0.998, np.ones((90, 120), bool)]
    sources = draw_sources([5], 5, seed=3)
    rounds = list(place_sources(sources, occupied, REACH, FWHM, seed=3))
    assert [each.source for _, placed in rounds for each in placed] == sources
    for window, placed in rounds:
        assert window == 0  # the other one is full
        covered = np.zeros((90, 120), int)
        for each in placed:
            x, y = each.corner
            assert (x, y) >= (0, 0) and x + 2 * REACH < 120 and y + 2 * REACH < 90
            covered[y : y + 2 * REACH + 1, x : x + 2 * REACH + 1] += 1
            rows, columns = np.nonzero(occupied[0])
            nearest = np.hypot(rows - y - REACH, columns - x - REACH).min()
            assert nearest > CLEAR * FWHM
        assert covered.max() == 1


def test_without_a_free_place_there_are_no_rounds() -> None:
    sources = draw_sources([5], 1, seed=0)
    assert not list(place_sources(sources, [np.ones((90, 90), bool)], REACH, FWHM, seed=0))
    assert not list(place_sources(sources, [np.zeros((10, 90), bool)], REACH, FWHM, seed=0))


def test_injection_adds_the_flux() -> None:
    window = np.random.default_rng(0).normal(size=(20, 30))
    stamp = np.full((3, 3), 2.0)
    shape = Stamp(stamp / 18, np.ones(2), np.ones((15, 15)) / 225, np.ones((15, 15)) / 225)
    sources = [
        Injected(Placed(Source("point", 1), (0, 0), (2, 2)), shape, 18.0, stamp),
        Injected(Placed(Source("point", 1), (27, 17), (2, 2)), shape, 36.0, 2 * stamp),
    ]
    injected = inject(window, sources)
    assert sources[1].centre.tolist() == [28, 18]
    assert (injected - window).sum() == 54
    assert (injected - window)[17:, 27:].sum() == 36


def test_photon_noise_is_that_of_the_electrons() -> None:
    light, rng = np.full((200, 200), 10.0), np.random.default_rng(0)
    drawn = with_photon_noise(light, 4.0, rng)
    assert drawn.mean() == pytest.approx(10, rel=0.005)
    assert drawn.var() == pytest.approx(10 / 4, rel=0.05)
    assert np.array_equal(4 * drawn, np.round(4 * drawn))
    assert with_photon_noise(light, None, rng) is light
    assert with_photon_noise(light, 1e30, rng) is light  # of more than NumPy can draw
