"""Which sources are injected, and where: chance is a function of the seed only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srkit_astro.validation.sources import (
    FINE,
    INDICES,
    RADII,
    RATIOS,
    Floats,
    Kind,
    Source,
    Stamp,
)

Bools: TypeAlias = NDArray[np.bool_]

#: Kinds that are injected at every signal-to-noise ratio.
SINGLE: tuple[Kind, ...] = ("point", "galaxy", "arc")
#: Separations of pairs in FWHM; 0 is a single source, which shows how often one is split.
SEPARATIONS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
#: Signal-to-noise ratio of each component of a pair.
PAIR_SNR = 20.0
#: Distance in FWHM between an injected source and the nearest detected or bad pixel.
CLEAR = 2.5
#: Electrons in a pixel from which on their noise is not drawn: it is negligible.
MOST_PHOTONS = 1e15


@dataclass(frozen=True, slots=True)
class Placed:
    """A source at its place in a window of LR.

    Parameters
    ----------
    source
        The source.
    corner
        Column and row of the first pixel of its stamp.
    step
        Column and row of the fine pixel within the central LR pixel, see :class:`.Renderer`.
    """

    source: Source
    corner: tuple[int, int]
    step: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """A source as it is injected into a window.

    Parameters
    ----------
    placed
        The source and its place.
    stamp
        Its image of flux 1.
    flux
        Its flux.
    light
        What is added to LR: its image, with photon noise if the gain is known.
    """

    placed: Placed
    stamp: Stamp
    flux: float
    light: Floats

    @property
    def centre(self) -> Floats:
        """Column and row in LR pixels of the window; the centre of the first pixel is 0."""
        return np.array(self.placed.corner) + self.stamp.centre

    def spine(self, fwhm: float) -> Floats:
        """Return the points of the window at which the source may be found, see `Source.spine`."""
        return self.centre + fwhm * self.placed.source.spine()


def draw_sources(snrs: Sequence[float], count: int, seed: int) -> list[Source]:
    """Draw all sources to inject, in random order.

    Parameters
    ----------
    snrs
        Signal-to-noise ratios.
    count
        Sources of each kind and ratio, and pairs of each separation.
    seed
        Seed of the shapes and of the order.
    """
    rng = np.random.default_rng((seed, 0))
    sources = [_single(kind, snr, rng) for kind in SINGLE for snr in snrs for _ in range(count)]
    sources += [
        Source("pair", PAIR_SNR, separation=distance, angle=float(rng.uniform(0, math.pi)))
        for distance in SEPARATIONS
        for _ in range(count)
    ]
    return [sources[place] for place in rng.permutation(len(sources))]


def _single(kind: Kind, snr: float, rng: np.random.Generator) -> Source:
    if kind == "point":
        return Source(kind, snr)
    if kind == "arc":
        return Source(kind, snr, angle=float(rng.uniform(0, 2 * math.pi)))
    radius, ratio, index = (float(rng.uniform(*ends)) for ends in (RADII, RATIOS, INDICES))
    return Source(kind, snr, radius, ratio, index, float(rng.uniform(0, math.pi)))


def place_sources(
    sources: Sequence[Source], occupied: Sequence[Bools], reach: int, fwhm: float, seed: int
) -> Iterator[tuple[int, list[Placed]]]:
    """Place sources at free places of windows, round by round, until all are placed.

    A place is free if no pixel within `CLEAR` FWHM is occupied. The stamps of a round do not
    overlap, so that no source affects the measurement of another.

    Parameters
    ----------
    sources
        The sources in their order.
    occupied
        For each window, the pixels of detected sources and those without a value, ``(H, W)``.
    reach
        Half side of a stamp in pixels.
    fwhm
        FWHM of the PSF in pixels.
    seed
        Seed of the places.

    Yields
    ------
    window, placed
        The number of the window, and what is injected there; nothing if there is no free place in
        any window.
    """
    free = [_free(each, reach, fwhm) for each in occupied]
    left, rounds = list(sources), cycle(enumerate(free))
    if not any(each.any() for each in free):
        return
    number = 0
    while left:
        window, places = next(rounds)
        rng = np.random.default_rng((seed, 1, number))
        corners = list(_corners(places, reach, rng))[: len(left)]
        number += 1
        if corners:
            steps = rng.integers(0, FINE, (len(corners), 2)).tolist()
            yield (
                window,
                [
                    Placed(source, corner, (column, row))
                    for source, corner, (column, row) in zip(left, corners, steps, strict=False)
                ],
            )
            left = left[len(corners) :]


def _free(occupied: Bools, reach: int, fwhm: float) -> Bools:
    """Return which pixels can be the centre of a stamp."""
    distance = ndimage.distance_transform_edt(~np.pad(occupied, 1))[1:-1, 1:-1]
    free = distance > CLEAR * fwhm if occupied.any() else np.ones(occupied.shape, bool)
    inside = np.zeros(occupied.shape, bool)
    inside[reach : occupied.shape[0] - reach, reach : occupied.shape[1] - reach] = True
    return np.asarray(free & inside)


def _corners(free: Bools, reach: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Choose free places at random whose stamps do not overlap; yield the corners of the stamps."""
    left = free.copy()
    side = 2 * reach + 1
    rows, columns = np.nonzero(left)
    for place in rng.permutation(len(rows)):
        y, x = int(rows[place]), int(columns[place])
        if left[y, x]:
            left[max(y - side + 1, 0) : y + side, max(x - side + 1, 0) : x + side] = False
            yield x - reach, y - reach


def inject(window: Floats, sources: Sequence[Injected]) -> Floats:
    """Add sources to a copy of a window."""
    result = window.copy()
    for each in sources:
        x, y = each.placed.corner
        result[y : y + each.light.shape[0], x : x + each.light.shape[1]] += each.light
    return result


def with_photon_noise(light: Floats, gain: float | None, rng: np.random.Generator) -> Floats:
    """Draw the photons of a source, `gain` electrons per unit; None leaves the mean."""
    if gain is None or gain * light.max() > MOST_PHOTONS:
        return light
    return np.asarray(rng.poisson(gain * light) / gain)
