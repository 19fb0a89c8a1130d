"""Stars of a frame that are fit to measure its PSF: bright, single, whole and not saturated."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from srkit.errors import DataError
from srkit_astro.extra import needs
from srkit_astro.moments import Floats

with needs("sep"):
    import sep

Flags = NDArray[np.bool_]

#: Detection threshold and smallest peak of a star, in standard deviations of the sky.
SIGMAS, BRIGHT = 5.0, 25.0
#: Side of the meshes of the background in pixels.
MESH = 64
#: Half side of the image of a star, in FWHM.
REACH = 4.0
#: Flux of a neighbour in that image, relative to the star's, that makes it a blend.
BLEND = 0.1
#: Largest relative deviation of the half-light radius of a star from that of the others, and their
#: largest scatter: galaxies differ far more.
SAME, TIGHT = 0.1, 0.045
#: A smaller size is that of the stars if it has this share of the sources of the commonest size.
CROWD = 0.5
#: Number of sources of one size, at least, that makes it that of stars.
CLEAR = 5
#: Largest difference of the ellipticity from the median of the stars.
ROUND = 0.1
#: Most stars that are used: the brightest.
MOST = 80


@dataclass(frozen=True, slots=True)
class Star:
    """The image of a star.

    Parameters
    ----------
    values
        Flux per pixel above the sky, ``(k, k)``; 0 where the weight is 0.
    weight
        1, or 0 for bad pixels and those of neighbours.
    x, y
        Its centre in pixels of the frame; the centre of the first pixel is 0.
    column, row
        Its first pixel in the frame.
    """

    values: Floats
    weight: Floats
    x: float
    y: float
    column: int
    row: int


def find_stars(values: Floats, bad: Flags, fewest: int) -> list[Star]:
    """Find stars, brightest first.

    Parameters
    ----------
    values
        The frame, ``(H, W)``.
    bad
        Pixels without a valid value, ``(H, W)``.
    fewest
        Smallest number of stars.

    Raises
    ------
    DataError
        If there are fewer; the message counts the sources that were rejected for each reason.
    """
    if bad.all():
        raise DataError("no pixel has a valid value")
    field = _Field.detect(values, bad)
    reasons: Counter[str] = Counter()
    bright = field.catalogue["peak"] > BRIGHT * field.noise
    reasons["too faint"] = int((~bright).sum())
    whole = bright & ((field.catalogue["flag"] & (sep.OBJ_TRUNC | sep.OBJ_SINGU)) == 0)
    reasons["at the edge"] = int((bright & ~whole).sum())
    size = _size_of_stars(field.radius[whole], min(fewest, CLEAR))
    if size is None:
        reasons["others, too few of one size"] = int(whole.sum())
        raise DataError(_too_few(0, fewest, len(whole), reasons))
    alike = whole & (abs(field.radius / size - 1) < SAME)
    middle = np.median(field.shape[alike].real) + 1j * np.median(field.shape[alike].imag)
    stars = alike & (abs(field.shape - middle) < ROUND)
    reasons["of another size or shape"] = int((whole & ~stars).sum())
    found: list[Star] = []
    half = math.ceil(REACH * 2 * size)  # the half-light diameter is about the FWHM
    for index in np.flatnonzero(stars)[np.argsort(-field.catalogue["flux"][stars])]:
        cut = field.cut(int(index), half)
        if isinstance(cut, Star):
            found.append(cut)
        else:
            reasons[cut] += 1
    if len(found) < fewest:
        raise DataError(_too_few(len(found), fewest, len(whole), reasons))
    return found[:MOST]


def _too_few(count: int, fewest: int, total: int, reasons: Counter[str]) -> str:
    counted = ", ".join(f"{number} {reason}" for reason, number in reasons.items() if number)
    listed = f" ({counted})" if counted else ""
    return (
        f"{count} usable stars among {total} sources{listed}; a PSF needs {fewest}; use "
        "a larger frame or one of longer exposure, or state the PSF by its FWHM or an image"
    )


def _size_of_stars(radii: Floats, least: int) -> float | None:
    """Return the half-light radius that stars have in common, or None if no size is common.

    `least` is the smallest number of sources of one size.
    """
    logs = np.sort(np.log(radii[radii > 0]))
    if len(logs) < least:
        return None
    last = np.searchsorted(logs, logs + 2 * SAME, "right")
    counts = last - np.arange(len(logs))
    # Of two common sizes, such as those of stars and of cluster galaxies, the smaller.
    first = int(np.argmax(counts >= max(CROWD * counts.max(), least)))
    if counts[first] < least:
        return None
    # From the first of these, up to where the number is largest.
    rest = counts[first : last[first]]
    start = first + int(np.argmax(rest))
    group = logs[start : last[start]]
    median = float(np.median(group))
    scatter = 1.4826 * float(np.median(abs(group - median)))
    return math.exp(median) if scatter < TIGHT else None


@dataclass(frozen=True, slots=True)
class _Field:
    """A frame, with and without its sky, and its sources."""

    raw: Floats
    values: Floats
    bad: Flags
    noise: float
    catalogue: NDArray[np.void]
    segments: NDArray[np.int32]
    radius: Floats
    shape: NDArray[np.complex128]

    @classmethod
    def detect(cls, values: Floats, bad: Flags) -> _Field:
        filled = np.ascontiguousarray(np.where(bad, 0.0, values), np.float64)
        flags = np.ascontiguousarray(bad)
        sky = sep.Background(filled, mask=flags, bw=MESH, bh=MESH)
        raw, values = filled, np.where(bad, 0.0, filled - sky.back())
        noise = max(float(sky.globalrms), 1e-5 * float(values.max()), 1e-300)
        sep.set_extract_pixstack(max(300_000, values.size))
        catalogue, segments = sep.extract(
            values, SIGMAS * noise, mask=flags, minarea=5, segmentation_map=True
        )
        reach = np.maximum(6 * catalogue["a"], 3)
        radius = sep.flux_radius(
            values, catalogue["x"], catalogue["y"], reach, 0.5, mask=flags, subpix=5
        )[0]
        a2, b2 = catalogue["a"].astype(float) ** 2, catalogue["b"].astype(float) ** 2
        shape = (a2 - b2) / (a2 + b2) * np.exp(2j * catalogue["theta"].astype(float))
        return cls(raw, values, bad, noise, catalogue, segments, radius, shape)

    def cut(self, index: int, half: int) -> Star | str:
        """Cut a star out, or return why it is not fit."""
        source = self.catalogue[index]
        width = self.radius[index] * 2 / 2.3548
        x, y, _ = (
            float(v[0]) for v in sep.winpos(self.values, [source["x"]], [source["y"]], [width])
        )
        row, column = round(y) - half, round(x) - half
        height, length = self.values.shape
        side = 2 * half + 1
        if min(row, column) < 0 or row + side > height or column + side > length:
            return "at the edge"
        part = (slice(row, row + side), slice(column, column + side))
        rows, columns = np.mgrid[part]
        core = np.hypot(rows - y, columns - x) < 3 * self.radius[index]
        if (self.bad[part] & core).any():
            return "with masked or saturated pixels"
        top = self.raw[part][core]
        if (top >= (1 - 1e-6) * top.max()).sum() > 2:
            return "with masked or saturated pixels"
        segments = self.segments[part]
        others = (segments != 0) & (segments != index + 1)
        apart = np.maximum(abs(self.catalogue["x"] - x), abs(self.catalogue["y"] - y))
        near = apart <= half  # of those further away, only the pixels are left out
        near[index] = False
        if (others & core).any() or (self.catalogue["flux"][near].sum() > BLEND * source["flux"]):
            return "blended"
        weight = ~(self.bad[part] | binary_dilation(others, iterations=2))
        return Star(
            np.where(weight, self.values[part], 0.0), weight.astype(float), x, y, column, row
        )
