"""The sources that are injected: points, galaxies, arcs and pairs, rendered on the pixels of LR."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from astropy.modeling.models import Sersic2D
from numpy.typing import NDArray
from scipy.signal import fftconvolve

Floats: TypeAlias = NDArray[np.float64]
Kind: TypeAlias = Literal["point", "galaxy", "arc", "pair"]

#: Fine pixels per LR pixel along a side, on whose centres sources lie; odd, so that one of them is
#: at the centre of the LR pixel. Galaxies are sampled more finely by the second number.
FINE, FINER = 5, 3
#: Half side of the stamp of a source in FWHM of the PSF: all of its flux lies within.
REACH = 4.0
#: Fraction of the flux in LR within the aperture of a source, if the stamp is large enough.
ENCLOSED = 0.98
#: Galaxies: half-light radius in FWHM of the PSF, axis ratio and Sérsic index.
RADII, RATIOS, INDICES = (0.5, 1.2), (0.3, 0.9), (0.7, 2.5)
#: Arcs: radius of curvature, and standard deviation across, in FWHM, and along, in radians.
CURVATURE, WIDTH, LENGTH = 2.0, 0.2, 0.5


@dataclass(frozen=True, slots=True)
class Source:
    """A source to inject; lengths are in FWHM of the PSF, angles in radians from x towards y.

    Parameters
    ----------
    kind
        What it is.
    snr
        Signal-to-noise ratio; of a pair, that of each component.
    radius, ratio, index
        Half-light radius along the major axis, axis ratio and Sérsic index of a galaxy.
    angle
        Position angle of the major axis, of the middle of an arc, or of a pair.
    separation
        Distance of the components of a pair; 0 for a single source of the same flux.
    """

    kind: Kind
    snr: float
    radius: float = 0.0
    ratio: float = 1.0
    index: float = 1.0
    angle: float = 0.0
    separation: float = 0.0

    @property
    def distortion(self) -> complex:
        """Ellipticity before the PSF, ``(a² - b²) / (a² + b²)`` with twice the position angle."""
        modulus = (1 - self.ratio**2) / (1 + self.ratio**2)
        return complex(modulus * math.cos(2 * self.angle), modulus * math.sin(2 * self.angle))

    def spine(self) -> Floats:
        """Return the points at which the source may be found, ``(K, 2)`` x and y from its centre.

        The centre of a point and of a galaxy, the components of a pair, or the ridge of an arc.
        """
        direction = _unit(self.angle)
        if self.kind == "pair":
            return np.outer([-0.5, 0.5], self.separation * direction)
        if self.kind == "arc":
            turns = self.angle + np.linspace(-2 * LENGTH, 2 * LENGTH, 33)
            ring = np.stack([np.cos(turns), np.sin(turns)], 1)
            return np.asarray(CURVATURE * (ring - direction))
        return np.zeros((1, 2))


@dataclass(frozen=True, eq=False)
class Stamp:
    """A rendered source of flux 1.

    Parameters
    ----------
    pixels
        Flux in the pixels of LR, ``(S, S)``, with a sum of 1.
    centre
        x and y of the source in the stamp, in LR pixels; the centre of the first pixel is 0.
    sky
        The source before the PSF, ``(FINE S, FINE S)``, with a sum of 1.
    blurred
        The same after the PSF.
    """

    pixels: Floats
    centre: Floats
    sky: Floats
    blurred: Floats

    @cached_property
    def aperture(self) -> float:
        """Radius in LR pixels around the centre that contains `ENCLOSED` of the flux of LR."""
        radius = self._radii.ravel()
        order = np.argsort(radius)
        grown = np.cumsum(self.blurred.ravel()[order])
        reached = radius[order][np.searchsorted(grown, ENCLOSED)]
        return float(min(max(reached, 1.0), len(self.pixels) / 2 - 1))

    @cached_property
    def gain(self) -> float:
        """Largest ratio of the flux in the aperture, with a sharper PSF, to that in LR, minus 1."""
        inside = self._radii <= self.aperture
        return float(self.sky[inside].sum() / self.blurred[inside].sum() - 1)

    @cached_property
    def _radii(self) -> Floats:
        rows, columns = ((np.arange(len(self.sky)) + 0.5) / FINE - 0.5 for _ in range(2))
        return np.hypot(rows[:, None] - self.centre[1], columns - self.centre[0])


class Renderer:
    """Renders sources with the PSF of LR.

    Parameters
    ----------
    kernel
        The PSF integrated over fine pixels, `FINE` per LR pixel along a side: odd sides, centred,
        with a sum of 1.
    fwhm
        FWHM of the PSF in LR pixels, which is the unit of the sizes of sources.
    """

    def __init__(self, kernel: Floats, fwhm: float) -> None:
        self.kernel, self.fwhm = kernel, fwhm
        self.reach = math.ceil(REACH * fwhm) + 1

    def render(self, source: Source, step: tuple[int, int] = (FINE // 2, FINE // 2)) -> Stamp:
        """Render a source at the centre of a fine pixel of the central LR pixel of the stamp.

        Parameters
        ----------
        source
            The source.
        step
            Column and row of the fine pixel, from 0 to ``FINE - 1``.
        """
        side = (2 * self.reach + 1) * FINE
        start = self.reach * FINE
        places = np.arange(side) / (FINE * self.fwhm)
        x = places - places[start + step[0]]
        y = (places - places[start + step[1]])[:, None]
        sky = self._light(source, x, y)
        blurred = np.maximum(fftconvolve(sky, self.kernel, mode="same"), 0.0)
        sky, blurred = sky / sky.sum(), blurred / blurred.sum()
        count = 2 * self.reach + 1
        pixels = blurred.reshape(count, FINE, count, FINE).sum((1, 3))
        centre = np.array([self.reach + (each + 0.5) / FINE - 0.5 for each in step])
        return Stamp(pixels, centre, sky, blurred)

    def _light(self, source: Source, x: Floats, y: Floats) -> Floats:
        """Return surface brightness at places in FWHM from the centre of the source."""
        if source.kind == "galaxy":
            return self._galaxy(source, x, y)
        if source.kind == "arc":
            middle = -CURVATURE * _unit(source.angle)
            radius = np.hypot(x - middle[0], y - middle[1])
            turn = np.arctan2(y - middle[1], x - middle[0]) - source.angle
            turn = (turn + math.pi) % (2 * math.pi) - math.pi
            across = np.exp(-0.5 * ((radius - CURVATURE) / WIDTH) ** 2)
            return np.asarray(across * np.exp(-0.5 * (turn / LENGTH) ** 2))
        light = np.zeros((y.size, x.size))
        for place in source.spine():
            light += _splat(place, x, y.ravel())
        return light

    def _galaxy(self, source: Source, x: Floats, y: Floats) -> Floats:
        model = Sersic2D(
            r_eff=source.radius, n=source.index, ellip=1 - source.ratio, theta=source.angle
        )
        step = 1 / (FINE * self.fwhm)
        shifts = (np.arange(FINER) - FINER // 2) * step / FINER
        return np.asarray(
            sum(model(*np.broadcast_arrays(x + a, y + b)) for a in shifts for b in shifts)
        )


def _unit(angle: float) -> Floats:
    return np.array([math.cos(angle), math.sin(angle)])


def _splat(place: Floats, x: Floats, y: Floats) -> Floats:
    """Divide a point between the four fine pixels around it, which keeps its position."""
    step = float(x[1] - x[0])
    weights = [
        np.clip(1 - abs(axis - at) / step, 0, None) for axis, at in zip((x, y), place, strict=True)
    ]
    return np.outer(weights[1], weights[0])
