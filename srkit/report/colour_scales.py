"""How images of measured values are shown: colour scale, colour bar and scale bar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

#: Perceptually uniform for values and for maps of metrics, diverging for differences.
VALUES, DIFFERENCES, MAPS = "inferno", "RdBu_r", "cividis"
#: Values within so many standard deviations of the noise are shown linearly.
LINEAR = 2.0
#: What a Gaussian's median absolute deviation is multiplied by to be its standard deviation.
MAD = 1.4826
#: Least distance of two ticks, as a share of the colour bar.
APART = 0.13
#: Longest scale bar, as a share of the image's width.
LONGEST = 0.35


def brightness_scale(*images: NDArray[np.float32]) -> Normalize:
    """Choose an asinh stretch (Lupton et al. 1999, AJ 118, 1406) for images that share a scale.

    It is linear near the noise of the first, and reaches from the darkest to the brightest pixel
    of all: nothing is clipped, negative sky included.

    Parameters
    ----------
    *images
        Of any shape; values that are not finite are left out.
    """
    values = np.concatenate([image[np.isfinite(image)] for image in images])
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Normalize(low - 0.5, high + 0.5)
    first = images[0]
    noise = MAD * float(np.nanmedian(np.abs(first - np.nanmedian(first))))
    # Without noise, or where it is all there is, a part of the range serves.
    width = LINEAR * noise if noise > 0 else (high - low) / 50
    return AsinhNorm(linear_width=width, vmin=low, vmax=high)


def difference_scale(brightness: Normalize, *differences: NDArray[np.float32]) -> Normalize:
    """Choose a scale for differences of images that `brightness` shows: as wide on both sides of 0.

    Nothing is clipped; values that are not finite are left out.
    """
    largest = max(float(np.abs(d[np.isfinite(d)]).max(initial=0.0)) for d in differences) or 0.5
    if isinstance(brightness, AsinhNorm):
        return AsinhNorm(linear_width=brightness.linear_width, vmin=-largest, vmax=largest)
    return Normalize(-largest, largest)


def round_ticks(norm: Normalize) -> list[float]:
    """Choose round values that stand apart on a colour bar.

    0, and 1, 2 or 5 times powers of 10; where a scale far from 0 has none of them, even steps.
    """
    assert norm.vmin is not None and norm.vmax is not None
    chosen: list[float] = []
    for value in _round_values(norm):
        inside = norm.vmin <= value <= norm.vmax
        if inside and all(abs(norm(value) - norm(other)) >= APART for other in chosen):
            chosen.append(value)
    if len(chosen) > 2:
        return sorted(chosen)
    steps = MaxNLocator(5).tick_values(norm.vmin, norm.vmax)
    return [float(step) for step in steps if norm.vmin <= step <= norm.vmax]


def _round_values(norm: Normalize) -> Iterator[float]:
    """Iterate over round values of both signs, the ones that are wanted most first."""
    assert norm.vmin is not None and norm.vmax is not None
    yield 0.0
    top = math.floor(math.log10(max(abs(norm.vmin), abs(norm.vmax))))
    for digit in (1, 5, 2):
        for power in range(top, top - 5, -1):
            yield from (float(f"{sign}{digit}e{power}") for sign in ("", "-"))


def label_bar(bar: Colorbar, norm: Normalize, unit: str) -> None:
    """Give a colour bar round ticks and its unit."""
    ticks = round_ticks(norm)
    bar.set_ticks(ticks, labels=[f"{tick:g}".replace("-", "−") for tick in ticks])
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=7)
    bar.set_label(unit or "value", fontsize=8)


def extension(norm: Normalize, images: Iterable[NDArray[np.float32]]) -> Any:
    """Tell at which ends of a scale images have values beyond: matplotlib's `extend`."""
    assert norm.vmin is not None and norm.vmax is not None
    images = list(images)
    below = any(float(np.nanmin(image)) < norm.vmin for image in images)
    above = any(float(np.nanmax(image)) > norm.vmax for image in images)
    return {(False, False): "neither", (True, False): "min", (False, True): "max"}.get(
        (below, above), "both"
    )


def draw_scale_bar(axis: Axes, width: int, pixel_scale: float) -> None:
    """Draw a bar of a round number of arcsec into the lower left corner of an image.

    Parameters
    ----------
    axis
        Shows the image.
    width
        Of the image in pixels.
    pixel_scale
        Side of a pixel in arcsec.
    """
    longest = LONGEST * width * pixel_scale
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(digit * power for digit in (1, 2, 5) if digit * power <= longest)
    share = length / (width * pixel_scale)
    edge = [withStroke(linewidth=2.5, foreground="black")]
    axis.plot(
        [0.06, 0.06 + share],
        [0.07, 0.07],
        transform=axis.transAxes,
        color="white",
        linewidth=1.5,
        path_effects=edge,
    )
    axis.text(
        0.06 + share / 2,
        0.1,
        f"{length:g}″",
        transform=axis.transAxes,
        ha="center",
        va="bottom",
        fontsize=7,
        color="white",
        path_effects=edge,
    )
