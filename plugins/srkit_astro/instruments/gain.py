"""The electrons of a value: those of the header, or those that the variance implies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srkit.interfaces import Image
from srkit_astro.files.calibration import electrons_per_unit
from srkit_astro.files.fits import bad_pixels

#: Standard deviations of the sky above which a pixel is bright, and the smallest number of bright
#: pixels.
BRIGHT, FEWEST = 10.0, 50
#: The groups of bright pixels, of equal flux, from which the gain is measured on its own, and the
#: largest ratio of the results.
GROUPS, TOLERANCE = 3, 1.25
#: Smallest excess of the variance of the brightest group over that of the sky, as a fraction of it.
EXCESS = 0.1
#: Largest side of the part in the middle of an image that is measured.
SIDE = 4096


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain of an image.

    Parameters
    ----------
    electrons
        Electrons, or photons, in one unit of its values.
    origin
        Where this comes from, in words.
    """

    electrons: float
    origin: str


def gain_of(image: Image) -> Gain | None:
    """Return the gain of a FITS image of one band: of its header, or else of its variance.

    None if neither states it; see :func:`.electrons_per_unit` and :func:`gain_of_variance`.
    """
    stated = electrons_per_unit(image.metadata["header"])
    if stated is not None:
        return Gain(stated, "header")
    variance = image.metadata.get("variance")
    if variance is None:
        return None
    part = tuple(
        slice(start, start + SIDE)
        for start in (max(0, (side - SIDE) // 2) for side in image.pixels.shape[-2:])
    )
    planes = image.pixels[0], variance[0], bad_pixels(image)[0]
    found = gain_of_variance(*(each[part].numpy() for each in planes))
    return None if found is None else Gain(found, "variance of bright pixels")


def gain_of_variance(
    values: NDArray[np.floating], variance: NDArray[np.floating], bad: NDArray[np.bool_]
) -> float | None:
    """Return the electrons in one unit of the values, from a variance that includes photon noise.

    Above that of the sky, such a variance is the flux divided by the gain. The gain is the median
    ratio of bright pixels, in groups from bright to faint. None if too few pixels are bright, the
    variance of sources does not exceed that of the sky, as where it is that of the sky alone, or it
    is not linear in the flux: the ratios of the groups differ.

    Parameters
    ----------
    values, variance
        ``(H, W)``, in any unit and its square.
    bad
        Pixels without a valid value, ``(H, W)``.
    """
    used = ~bad & np.isfinite(values) & np.isfinite(variance) & (variance > 0)
    flux, noise = values[used].astype(np.float64), variance[used].astype(np.float64)
    if not len(flux):
        return None
    sky, least = np.median(flux), np.median(noise)
    above = flux - sky
    level = np.median(noise[np.abs(above) < 3 * least**0.5])
    bright = np.flatnonzero(above > BRIGHT * level**0.5)
    if len(bright) < FEWEST:
        return None
    bright = bright[np.argsort(above[bright])[::-1]]
    share = np.cumsum(above[bright]) / above[bright].sum()
    groups = np.split(bright, np.searchsorted(share, np.arange(1, GROUPS) / GROUPS))
    if not all(map(len, groups)):
        return None
    slopes = [float(np.median((noise[group] - level) / above[group])) for group in groups]
    excess = float(np.median(noise[groups[0]])) / level - 1
    if min(slopes) <= 0 or max(slopes) > TOLERANCE * min(slopes) or excess < EXCESS:
        return None
    return 1 / float(np.median(slopes))
