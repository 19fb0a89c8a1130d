"""Populations of strong lenses: star-forming galaxies behind massive early-type galaxies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from srkit_astro.instruments.cameras import Floats
from srkit_astro.instruments.ranges import ascending

SPEED_OF_LIGHT = 299792.458
ARCSEC = math.pi / 180 / 3600
#: c² / 4G in solar masses / Mpc.
MASS_UNIT = 5.2242e18

#: Number of galaxies drawn at a time, and of attempts before a population counts as impossible.
CANDIDATES, ATTEMPTS = 1024, 500

#: The redshift distribution does not hold for brighter sources: its mean would be negative.
Magnitude = Annotated[float, Field(ge=18)]
MagnitudeRange = Annotated[tuple[Magnitude, Magnitude], AfterValidator(ascending)]
PositiveRange = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(ascending)]


@dataclass(frozen=True, slots=True)
class Galaxy:
    """A galaxy with a Sérsic profile.

    Parameters
    ----------
    magnitude
        Total AB magnitude in i.
    radius
        Half-light radius in arcsec: the geometric mean of the two semi-axes.
    index
        Sérsic index.
    axis_ratio, angle
        Minor over major axis, and angle from x to the major axis in radians.
    x, y
        Centre in arcsec relative to the centre of the image.
    """

    magnitude: float
    radius: float
    index: float
    axis_ratio: float
    angle: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Lens:
    """A lens galaxy, its source, and the mass that deflects the light.

    Parameters
    ----------
    light
        The lens galaxy; its mass has the same centre, axis ratio and angle.
    source
        The source as it would appear without the lens.
    redshift, source_redshift
        Redshifts of lens and source.
    velocity_dispersion
        Velocity dispersion of the lens galaxy in km / s.
    einstein_radius
        Einstein radius in arcsec: the geometric mean of the semi-axes of the critical curve.
    einstein_mass
        Mass within the Einstein radius in solar masses.
    shear
        The two components of the external shear.
    """

    light: Galaxy
    source: Galaxy
    redshift: float
    source_redshift: float
    velocity_dispersion: float
    einstein_radius: float
    einstein_mass: float
    shear: tuple[float, float]


class LensPopulation(BaseModel):
    """The strong lenses that a survey detects.

    Deflectors have a constant density in comoving volume. Their velocity dispersions follow Choi et
    al. (2007), weighted by the lensing cross-section. Axis ratios and magnitudes depend on the
    dispersion as in LensPop (Collett 2015), and sizes on the magnitude (Hyde & Bernardi 2009). For
    the K-correction of early-type galaxies from rest-frame r to i and their passive evolution,
    which nearly cancel between z = 0.2 and 0.9, a total of -0.2 mag is used.

    Sources have the number counts of the LSST Science Book (section 3.7.2). At a magnitude, their
    redshifts are distributed like those that it gives for all galaxies down to that magnitude,
    whose mean is lower by 0.18. They have exponential profiles, and sizes as in LensPop, after
    Newton et al. (2011). Shear is log-normal (Holder & Schechter 2003).

    A lens is detected if its source is multiply imaged, magnified at least threefold and smaller
    than the Einstein radius, and if its images are bright and long enough (Collett 2015, section
    3). The defaults resemble the lenses found in HSC's Wide layer (SuGOHI: Sonnenfeld et al. 2018;
    Wong et al. 2022).

    Parameters
    ----------
    redshift, source_redshift
        Ranges of the redshifts of lens and source.
    einstein_radius
        Range of the Einstein radius in arcsec.
    source_magnitude
        Range of the unlensed AB magnitude in i.
    arc_magnitude
        Faintest total AB magnitude of the lensed images in i.
    arc_length
        Smallest product of the half-light radius of the source and its magnification, in arcsec:
        the seeing, for a survey that recognises lenses by their arcs.
    contrast
        Smallest surface brightness of the source, which lensing conserves, relative to that of the
        lens galaxy at the Einstein radius.
    shear
        Median of the external shear; 0 disables it.

    References
    ----------
    T. Collett, "The population of galaxy-galaxy strong lenses in forthcoming optical imaging
    surveys", ApJ 811 (2015) 20, arXiv:1507.02657. Y.-Y. Choi et al., ApJ 658 (2007) 884. J. Hyde
    and M. Bernardi, MNRAS 394 (2009) 1978. LSST Science Book, arXiv:0912.0201. E. Newton et al.,
    ApJ 734 (2011) 104. G. Holder and P. Schechter, ApJ 589 (2003) 688. A. Sonnenfeld et al., PASJ
    70 (2018) S29, arXiv:1704.01585. K. Wong et al., PASJ 74 (2022) 1209, arXiv:2203.12805.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    redshift: PositiveRange = (0.3, 0.9)
    source_redshift: PositiveRange = (0.6, 4.0)
    einstein_radius: PositiveRange = (1.0, 2.5)
    source_magnitude: MagnitudeRange = (21.0, 26.0)
    arc_magnitude: float = 23.5
    arc_length: NonNegativeFloat = 0.6
    contrast: NonNegativeFloat = 2.0
    shear: NonNegativeFloat = 0.05

    def draw(self, rng: np.random.Generator) -> Lens:
        """Draw a lens.

        Raises
        ------
        ValueError
            If there is no such lens among 512,000 pairs of galaxies.
        """
        for _ in range(ATTEMPTS):
            found = self._try(rng)
            if found is not None:
                return found
        raise ValueError(
            f"population: no lens with {self} among {ATTEMPTS * CANDIDATES} pairs of galaxies; "
            "widen the ranges"
        )

    def _try(self, rng: np.random.Generator) -> Lens | None:
        """Draw candidates; return the first lens that is detected, or None."""
        z, sigma, z_source, magnitude, einstein, ratio = self._draw_alignments(rng)
        distance, source_distance = _comoving(z), _comoving(z_source)
        light_magnitude, light_radius = _deflectors(sigma, z, distance, rng)
        size = _source_sizes(magnitude, z_source, source_distance, rng)
        impact = np.sqrt(rng.uniform(size=len(z)))  # in Einstein radii; multiply imaged below 1
        magnification = 2 / np.hypot(impact, size / einstein)  # for an isothermal sphere
        contrast = _sersic_brightness(light_magnitude, light_radius, einstein)
        contrast -= magnitude + 2.5 * np.log10(2 * math.pi * size**2)
        seen = np.flatnonzero(
            (size < einstein)
            & (magnification > 3)
            & (magnitude - 2.5 * np.log10(magnification) < self.arc_magnitude)
            & (magnification * size >= self.arc_length)
            & (10 ** (0.4 * contrast) >= self.contrast)
        )
        if not len(seen):
            return None
        k = seen[0]
        # A cutout is centred on its galaxy to about a pixel.
        place = rng.uniform(-0.1, 0.1, 2)
        turn = rng.uniform(0, 2 * math.pi)
        behind = place + impact[k] * einstein[k] * np.array([math.cos(turn), math.sin(turn)])
        light_ratio = draw_axis_ratio(0.378 - 0.000572 * sigma[k], rng)
        light = _galaxy(light_magnitude[k], light_radius[k], 4.0, light_ratio, place, rng)
        source_ratio = draw_axis_ratio(0.3, rng)
        square = (einstein[k] * ARCSEC) ** 2
        return Lens(
            light=light,
            source=_galaxy(magnitude[k], size[k], 1.0, source_ratio, behind, rng),
            redshift=float(z[k]),
            source_redshift=float(z_source[k]),
            velocity_dispersion=float(sigma[k]),
            einstein_radius=float(einstein[k]),
            einstein_mass=float(MASS_UNIT * square * distance[k] / (1 + z[k]) / ratio[k]),
            shear=self._draw_shear(rng),
        )

    def _draw_alignments(self, rng: np.random.Generator) -> tuple[Floats, ...]:
        """Draw pairs of galaxies, and keep those with an Einstein radius within the range.

        Returns redshift and velocity dispersion of the deflectors, redshift and magnitude of the
        sources, the Einstein radius in arcsec, and D_ls / D_s.
        """
        near, far = _comoving(np.asarray(self.redshift)) ** 3
        z = _redshift(rng.uniform(near, far, CANDIDATES) ** (1 / 3))
        # σ^(α-1) exp(-(σ/σ*)^β), weighted by the cross-section, which is proportional to σ⁴.
        sigma = 161 * rng.gamma((2.32 + 4) / 2.67, size=CANDIDATES) ** (1 / 2.67)
        magnitude, z_source = self._draw_sources(rng)
        ratio = 1 - _comoving(z) / _comoving(z_source)  # in a flat universe
        einstein = 4 * math.pi * (sigma / SPEED_OF_LIGHT) ** 2 * ratio / ARCSEC
        kept = (
            (ratio > np.sqrt(rng.uniform(size=CANDIDATES)))  # the other factor of the cross-section
            & _within(z_source, self.source_redshift)
            & _within(einstein, self.einstein_radius)
        )
        drawn = (z, sigma, z_source, magnitude, einstein, ratio)
        return tuple(values[kept] for values in drawn)

    def _draw_sources(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw magnitudes, with counts proportional to 10^(0.31 i), and redshifts.

        The redshifts are those of all galaxies down to the magnitude, as if it were the limit.
        """
        low, high = (10 ** (0.31 * m) for m in self.source_magnitude)
        magnitude = np.log10(rng.uniform(low, high, CANDIDATES)) / 0.31
        return magnitude, rng.gamma(3.0, 0.0417 * magnitude - 0.744)

    def _draw_shear(self, rng: np.random.Generator) -> tuple[float, float]:
        strength = self.shear * 10 ** rng.normal(0, 0.2)
        angle = rng.uniform(0, 2 * math.pi)
        return strength * math.cos(angle), strength * math.sin(angle)


#: Spectroscopic lenses of SDSS, nearer and brighter (Bolton et al. 2008, ApJ 682, 964; Auger et
#: al. 2009, ApJ 705, 1099): the ranges of their redshifts and Einstein radii.
SLACS = LensPopulation(
    redshift=(0.06, 0.36),
    source_redshift=(0.2, 1.2),
    einstein_radius=(0.69, 1.78),
    source_magnitude=(20.5, 25.5),
    contrast=1.0,
    arc_magnitude=23.0,
)
SUGOHI = LensPopulation()
POPULATIONS = {"slacs": SLACS, "sugohi": SUGOHI}


@cache
def _distances() -> tuple[Floats, Floats]:
    """Return a table of redshifts and comoving distances in Mpc."""
    from astropy.cosmology import FlatLambdaCDM

    redshifts = np.linspace(0, 12, 2401)
    distances = FlatLambdaCDM(H0=70, Om0=0.3).comoving_distance(redshifts).value
    return redshifts, np.asarray(distances)


def _comoving(z: Floats) -> Floats:
    return np.interp(z, *_distances())


def _redshift(distance: Floats) -> Floats:
    redshifts, distances = _distances()
    return np.interp(distance, distances, redshifts)


def _galaxy(
    magnitude: float,
    radius: float,
    index: float,
    axis_ratio: float,
    place: Floats,
    rng: np.random.Generator,
) -> Galaxy:
    """Return a galaxy with a random position angle."""
    x, y = map(float, place)
    angle = rng.uniform(0, math.pi)
    return Galaxy(float(magnitude), float(radius), index, axis_ratio, angle, x, y)


def _within(values: Floats, ends: tuple[float, float]) -> Floats:
    return (ends[0] < values) & (values < ends[1])


def _source_sizes(
    magnitude: Floats, z: Floats, distance: Floats, rng: np.random.Generator
) -> Floats:
    """Draw half-light radii in arcsec of star-forming galaxies (Newton et al. 2011, as in LensPop).

    Spectra are assumed to be flat in frequency.
    """
    absolute = magnitude - _distance_modulus(distance, z) + 2.5 * np.log10(1 + z)
    kiloparsec = 10 ** (-(absolute + 18) / 4) * ((1 + z) / 1.6) ** -1.2
    scattered = kiloparsec * 10 ** rng.normal(0, 0.35, z.shape)
    return np.asarray(scattered * (1 + z) / (distance * 1000) / ARCSEC)


def _deflectors(
    sigma: Floats, z: Floats, distance: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw magnitudes and half-light radii in arcsec of early-type galaxies (Hyde & Bernardi)."""
    root = np.sqrt((0.37**2 - 4 * 0.006 * (2.97 + np.log10(sigma))).clip(0))
    mean = ((-0.37 + root) / (2 * 0.006)).clip(-24)  # the brightest galaxies of their fit
    absolute = mean + rng.normal(0, 0.15 / 2.4, z.shape)
    scatter = rng.normal(0, 0.11, z.shape)
    kiloparsec = 10 ** (4.72 + 0.63 * absolute + 0.02 * absolute**2 + scatter)
    magnitude = absolute + _distance_modulus(distance, z) - 0.2
    return np.asarray(magnitude), np.asarray(kiloparsec * (1 + z) / (distance * 1000) / ARCSEC)


def _sersic_brightness(magnitude: Floats, radius: Floats, at: Floats) -> Floats:
    """Return the surface brightness of a de Vaucouleurs profile (Graham & Driver 2005)."""
    effective = magnitude + 2.5 * np.log10(2 * math.pi * radius**2) + 1.393
    return np.asarray(effective + 8.327 * ((at / radius) ** 0.25 - 1))


def _distance_modulus(distance: Any, z: Any) -> Any:
    """Return the distance modulus for comoving distances in Mpc, without K-correction."""
    return 5 * np.log10(distance * (1 + z)) + 25


def draw_axis_ratio(width: float, rng: np.random.Generator) -> float:
    """Draw an axis ratio above 0.2, with a Rayleigh distribution of ellipticity (Collett 2015)."""
    while True:
        ratio = 1 - float(rng.rayleigh(max(width, 0.05)))
        if ratio > 0.2:
            return ratio
