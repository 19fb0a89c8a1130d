"""A picture sheet of pairs: LR beside HR, each with the scale of its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from torch import Tensor

from srkit.interfaces import Sample
from srkit.plotting import shorten, style

#: Pairs side by side, and their size in inches.
COLUMNS, WIDTH, HEIGHT = 3, 4.7, 2.35
#: Values within so many standard deviations of the noise are shown linearly.
LINEAR = 2.0
#: What a Gaussian's median absolute deviation is multiplied by to be its standard deviation.
MAD = 1.4826


def pair_sheet(samples: Sequence[Sample]) -> Figure:
    """Draw pairs, three in a row: LR on the left, HR on the right, on one scale of brightness.

    One channel is shown with an asinh stretch (Lupton et al. 1999, AJ 118, 1406), linear near the
    noise, from the darkest to the brightest pixel of the two, and a colour bar in the samples'
    unit. Three channels are shown as a photograph, within the data range. Of any other number
    the first is shown.

    Parameters
    ----------
    samples
        At least one, each with LR.
    """
    rows = -(-len(samples) // COLUMNS)
    columns = min(len(samples), COLUMNS)
    with style():
        figure = Figure(figsize=(columns * WIDTH, rows * HEIGHT), layout="constrained")
        parts = figure.subfigures(rows, columns, squeeze=False, wspace=0.02, hspace=0.03)
        for part, sample in zip(parts.flat, samples, strict=False):
            _draw_pair(part, sample)
    return figure


def _draw_pair(part: SubFigure, sample: Sample) -> None:
    assert sample.lr is not None
    axes: list[Axes] = list(part.subplots(1, 2))
    low, high = sample.data_range
    photograph = len(sample.hr) == 3
    norm = None if photograph else stretch(sample.lr[0].numpy(), sample.hr[0].numpy())
    for axis, name, image in zip(axes, ("LR", "HR"), (sample.lr, sample.hr), strict=True):
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        axis.set_title(f"{name} {_size(image)}", fontsize=8)
        if photograph:
            axis.imshow(((image - low) / (high - low)).clamp(0, 1).movedim(0, -1).numpy())
        else:
            shown = axis.imshow(
                image[0].numpy(), norm=norm, cmap="inferno", origin="lower", interpolation="nearest"
            )
    part.suptitle(shorten(sample.name, 46), fontsize=9)
    if not photograph:
        assert norm is not None
        # Evenly spaced on the bar: a locator of powers of ten writes labels over each other.
        ticks = np.asarray(norm.inverse(np.linspace(0, 1, 6)))
        bar = part.colorbar(shown, ax=axes, fraction=0.05, pad=0.02, ticks=ticks, format="%.2g")
        bar.set_label(sample.unit or "value", fontsize=8)
        bar.ax.tick_params(labelsize=7)


def _size(image: Tensor) -> str:
    height, width = image.shape[-2:]
    return f"{width}×{height}"


def stretch(*images: NDArray[np.float32]) -> Normalize:
    """Choose an asinh stretch for images that share a scale: nothing is clipped.

    Parameters
    ----------
    *images
        Of any shape; values that are not finite are left out.
    """
    noise = max(MAD * float(np.nanmedian(np.abs(i - np.nanmedian(i)))) for i in images[:1])
    values = np.concatenate([image[np.isfinite(image)] for image in images])
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Normalize(low - 0.5, high + 0.5)
    # Without noise, or where it is all there is, a part of the range serves.
    width = LINEAR * noise if noise > 0 else (high - low) / 50
    return AsinhNorm(linear_width=width, vmin=low, vmax=high)
