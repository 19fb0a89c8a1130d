"""Colour scales, colour bars and scale bars of images of measured values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Normalize

#: Perceptually uniform for values and for maps of metrics, diverging for differences.
VALUES, DIFFERENCES, MAPS = "inferno", "RdBu_r", "cividis"
#: Values within this number of standard deviations of the noise are shown linearly.
LINEAR = 2.0
#: Standard deviation of a normal distribution over its median absolute deviation.
MAD = 1.4826
#: Minimum distance of two ticks, as a fraction of the colour bar.
APART = 0.13
#: Maximum length of the scale bar, as a fraction of the width of the image.
LONGEST = 0.35


def brightness_scale(*images: NDArray[np.float32]) -> Normalize:
    """Return an asinh stretch (Lupton et al. 1999, AJ 118, 1406) for images that share a scale.

    It is linear near the noise of the first image, and ranges from the darkest to the brightest
    pixel of all images: nothing is clipped, not even negative sky.

    Parameters
    ----------
    *images
        Images of any shape; values that are not finite are ignored.
    """
    from matplotlib.colors import AsinhNorm, Normalize

    values = np.concatenate([image[np.isfinite(image)] for image in images])
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Normalize(low - 0.5, high + 0.5)
    first = images[0]
    noise = MAD * float(np.nanmedian(np.abs(first - np.nanmedian(first))))
    # Without measurable noise, a fraction of the range is used.
    width = LINEAR * noise if noise > 0 else (high - low) / 50
    return AsinhNorm(linear_width=width, vmin=low, vmax=high)


def difference_scale(brightness: Normalize, *differences: NDArray[np.float32]) -> Normalize:
    """Return a scale for differences of images on the scale `brightness`, symmetric about 0.

    Nothing is clipped; values that are not finite are ignored.
    """
    from matplotlib.colors import AsinhNorm, Normalize

    largest = max(float(np.abs(d[np.isfinite(d)]).max(initial=0.0)) for d in differences) or 0.5
    if isinstance(brightness, AsinhNorm):
        return AsinhNorm(linear_width=brightness.linear_width, vmin=-largest, vmax=largest)
    return Normalize(-largest, largest)


def round_ticks(norm: Normalize) -> list[float]:
    """Return round values at a distance from each other on a colour bar.

    These are 0 and 1, 2 or 5 times powers of 10; even steps if a scale far from 0 has too few.
    """
    from matplotlib.ticker import MaxNLocator

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
    """Iterate over round values of both signs, the most important ones first."""
    assert norm.vmin is not None and norm.vmax is not None
    yield 0.0
    top = math.floor(math.log10(max(abs(norm.vmin), abs(norm.vmax))))
    for digit in (1, 5, 2):
        for power in range(top, top - 5, -1):
            yield from (float(f"{sign}{digit}e{power}") for sign in ("", "-"))


def label_bar(bar: Colorbar, norm: Normalize, unit: str) -> None:
    """Set round ticks and the unit of a colour bar."""
    ticks = round_ticks(norm)
    bar.set_ticks(ticks, labels=[f"{tick:g}".replace("-", "−") for tick in ticks])
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=7)
    bar.set_label(unit or "value", fontsize=8)


def extension(norm: Normalize, images: Iterable[NDArray[np.float32]]) -> Any:
    """Return at which ends of a scale images have values beyond it: matplotlib's `extend`."""
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
        The axes of the image.
    width
        Width of the image in pixels.
    pixel_scale
        Side of a pixel in arcsec.
    """
    from matplotlib.patheffects import withStroke

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
