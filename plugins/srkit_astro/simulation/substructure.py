"""Dark-matter substructure: subhalos of cold dark matter, or a vortex of superfluid dark matter.

Both have a fraction of the mass within the Einstein radius and are added to the smooth lens, as in
Alexander et al., "Deep Learning the Morphology of Dark Matter Substructure", ApJ 893 (2020) 15,
arXiv:1909.07346, where a vortex has 3 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from srkit_astro.instruments.cameras import Floats
from srkit_astro.simulation.lens_population import Lens

#: Range of masses in solar masses, in which dn/dm ~ m^-1.9 (Springel et al. 2008, MNRAS 391, 1685);
#: lighter subhalos have no effect that either camera could detect.
LIGHTEST, HEAVIEST, SLOPE = 1e8, 1e10, -1.9
#: Radius of the disc that subhalos fill uniformly, in Einstein radii.
EXTENT = 1.5
#: Core radius in arcsec, far below a pixel, which makes the deflection finite.
CORE = 1e-4


@dataclass(frozen=True, slots=True)
class Subhalo:
    """A tidally truncated isothermal sphere: a pseudo-Jaffe profile.

    Parameters
    ----------
    mass
        Total mass, as the square of the Einstein radius of a point of that mass in arcsec².
    tidal_radius
        Tidal radius in arcsec.
    x, y
        Centre in arcsec.
    """

    mass: float
    tidal_radius: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Vortex:
    """A straight line of mass with constant density.

    Parameters
    ----------
    mass
        Total mass, as the square of the Einstein radius of a point of that mass in arcsec².
    start, end
        Its ends, as x + iy in arcsec.
    """

    mass: float
    start: complex
    end: complex

    def deflect(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return the deflection in arcsec at positions in arcsec.

        A point of mass m at w deflects light at z by m / conj(z - w); the integral along the line
        is a logarithm.
        """
        place = x + 1j * y
        along = np.log((place - self.start) / (place - self.end)) / (self.end - self.start)
        deflection = np.conj(self.mass * along)
        return deflection.real, deflection.imag


def draw_subhalos(lens: Lens, share: float, rng: np.random.Generator) -> tuple[Subhalo, ...]:
    """Draw subhalos of cold dark matter, at least one.

    Their tidal radius is the geometric mean of the Einstein radii of subhalo and host, as for a
    satellite of an isothermal galaxy (Dalal & Kochanek 2002, ApJ 572, 25).

    Parameters
    ----------
    lens
        The host.
    share
        Expected total mass, as a fraction of the mass within the Einstein radius of the host.
    rng
        The random generator of number, masses and positions.
    """
    power = SLOPE + 1
    low, high = LIGHTEST**power, HEAVIEST**power
    mean = power / (power + 1) * (HEAVIEST ** (power + 1) - LIGHTEST ** (power + 1)) / (high - low)
    count = max(1, int(rng.poisson(share * lens.einstein_mass / mean)))
    masses = (low + (high - low) * rng.uniform(size=count)) ** (1 / power)
    squares = masses / lens.einstein_mass * lens.einstein_radius**2
    # With the Einstein radius b and the tidal radius t, the mass is b t, and t² = b b_host.
    tidal = (squares * lens.einstein_radius) ** (1 / 3)
    radius = EXTENT * lens.einstein_radius * np.sqrt(rng.uniform(size=count))
    angle = rng.uniform(0, 2 * math.pi, count)
    x, y = lens.light.x + radius * np.cos(angle), lens.light.y + radius * np.sin(angle)
    return tuple(Subhalo(*map(float, row)) for row in zip(squares, tidal, x, y, strict=True))


def draw_vortex(lens: Lens, share: float, rng: np.random.Generator) -> Vortex:
    """Draw a vortex centred within half of the Einstein radius, one to two Einstein radii long.

    Parameters
    ----------
    lens
        The host.
    share
        Mass of the vortex, as a fraction of the mass within the Einstein radius of the host.
    rng
        The random generator of position, length and direction.
    """
    radius = lens.einstein_radius
    offset = 0.5 * radius * math.sqrt(rng.uniform()) * _direction(rng)
    half = 0.5 * radius * rng.uniform(1, 2) * _direction(rng)
    middle = complex(lens.light.x, lens.light.y) + offset
    return Vortex(share * radius**2, middle - half, middle + half)


def _direction(rng: np.random.Generator) -> complex:
    angle = rng.uniform(0, 2 * math.pi)
    return complex(math.cos(angle), math.sin(angle))
