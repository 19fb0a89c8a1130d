"""A population of galaxies: magnitudes, sizes and Sérsic indices as in a deep survey."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from scipy.special import gammaincc, gammainccinv, ndtr, ndtri

from srkit_astro.instruments.ranges import ordered
from srkit_astro.simulation.lens_population import Galaxy, draw_axis_ratio

#: Half-light radius of an exponential disc in units of its scale length.
EXPONENTIAL = 1.6783
#: Shape of the distribution of sizes at a magnitude, and its median in units of its scale.
SIZES, SIZES_POWER = 1.5, 4 / 3
SIZES_MEDIAN = float(gammainccinv(SIZES, 0.5)) ** (1 / SIZES_POWER)
#: Distribution of Sérsic indices: the lowest, and mean and deviation of the logarithm above it.
LOWEST_INDEX, INDEX_MEAN, INDEX_DEVIATION = 0.2, 0.2, 1.0

Magnitudes = Annotated[
    tuple[Annotated[float, Field(ge=10)], Annotated[float, Field(le=30)]], AfterValidator(ordered)
]
Radii = Annotated[
    tuple[Annotated[float, Field(ge=0.02)], Annotated[float, Field(le=10)]],
    AfterValidator(ordered),
]
Indices = Annotated[
    tuple[Annotated[float, Field(ge=0.3)], Annotated[float, Field(le=8)]], AfterValidator(ordered)
]


class GalaxyPopulation(BaseModel):
    """Galaxies that a survey with the depth of HSC resolves.

    Number counts increase with magnitude as in the LSST Science Book (section 3.7.2). At a given
    magnitude, the median scale length of discs along the major axis in F814W of Hubble is ``ln r =
    -1.145 - 0.269 (i - 23)`` arcsec, fitted from 18.5 to 25.5 mag, and radii are distributed as ``r
    exp(-(r / a)**(4/3))`` (Miller et al. 2013, appendix B1). Sérsic indices minus 0.2 are
    log-normal as in UFig for galaxies fainter than 20 mag (Bergé et al. 2013): the median is 1.4,
    and a quarter exceed 2.5. Axis ratios are those of the sources in LensPop (Collett 2015). Unlike
    in real galaxies, index, major-axis radius and axis ratio are independent; galaxies of any index
    have the half-light radius of a disc.

    Parameters
    ----------
    magnitude
        Range of the total AB magnitude in i.
    radius
        Range of the half-light radius in arcsec: the geometric mean of the two semi-axes.
    index
        Range of the Sérsic index.

    References
    ----------
    LSST Science Book, arXiv:0912.0201. L. Miller et al., "Bayesian galaxy shape measurement for
    weak lensing surveys III", MNRAS 429 (2013) 2858, arXiv:1210.8201. J. Bergé et al., "An ultra
    fast image generator (UFig) for wide-field astronomy", Astronomy and Computing 1 (2013) 23,
    arXiv:1209.1200. T. Collett, ApJ 811 (2015) 20, arXiv:1507.02657.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    magnitude: Magnitudes = (20.0, 23.5)
    radius: Radii = (0.1, 1.5)
    index: Indices = (0.5, 6.0)

    def draw(self, rng: np.random.Generator) -> Galaxy:
        """Draw a galaxy, within 0.1 arcsec of the centre along x and y."""
        magnitude = self._draw_magnitude(rng)
        ratio = draw_axis_ratio(0.3, rng)
        radius = self._draw_radius(magnitude, ratio, rng)
        index = self._draw_index(rng)
        angle = rng.uniform(0, math.pi)
        x, y = rng.uniform(-0.1, 0.1, 2)
        return Galaxy(magnitude, radius, index, ratio, angle, float(x), float(y))

    def _draw_magnitude(self, rng: np.random.Generator) -> float:
        low, high = (10 ** (0.31 * m) for m in self.magnitude)
        return math.log10(rng.uniform(low, high)) / 0.31

    def _draw_radius(self, magnitude: float, ratio: float, rng: np.random.Generator) -> float:
        """Draw by inversion of the cumulative distribution, which works for any range."""
        major = EXPONENTIAL * math.exp(-1.145 - 0.269 * (magnitude - 23)) / SIZES_MEDIAN
        unit = major * math.sqrt(ratio)  # for the geometric mean of the semi-axes
        above = [gammaincc(SIZES, (end / unit) ** SIZES_POWER) for end in self.radius]
        drawn = unit * gammainccinv(SIZES, rng.uniform(above[1], above[0])) ** (1 / SIZES_POWER)
        return float(np.clip(drawn, *self.radius))

    def _draw_index(self, rng: np.random.Generator) -> float:
        ends = [(math.log(n - LOWEST_INDEX) - INDEX_MEAN) / INDEX_DEVIATION for n in self.index]
        normal = float(ndtri(rng.uniform(ndtr(ends[0]), ndtr(ends[1]))))
        drawn = LOWEST_INDEX + math.exp(INDEX_MEAN + INDEX_DEVIATION * normal)
        return float(np.clip(drawn, *self.index))
