"""A picture sheet of pairs: LR beside HR, with their colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from srkit.interfaces import Sample
from srkit.report.colour_scales import VALUES, brightness_scale, draw_scale_bar, label_bar
from srkit.report.plotting import shorten, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

#: Pairs side by side, and their size in inches.
COLUMNS, WIDTH, HEIGHT = 3, 4.7, 2.35


def pair_sheet(samples: Sequence[Sample]) -> Figure:
    """Draw pairs, three in a row: LR on the left, HR on the right, on a common scale.

    A single channel is shown on an asinh stretch, linear near the noise, from the darkest to the
    brightest pixel of the two, with a colour bar in the unit of the sample, and a scale bar if the
    pixel scale is known. Three channels are shown as a photograph, within the data range. Of any
    other number of channels, the first is shown.

    Parameters
    ----------
    samples
        At least one sample, each with LR.
    """
    from matplotlib.figure import Figure

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
    norm = None if photograph else brightness_scale(sample.lr[0].numpy(), sample.hr[0].numpy())
    for axis, name, image in zip(axes, ("LR", "HR"), (sample.lr, sample.hr), strict=True):
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        axis.set_title(f"{name} {_size(image)}", fontsize=8)
        if photograph:
            axis.imshow(((image - low) / (high - low)).clamp(0, 1).movedim(0, -1).numpy())
        else:
            shown = axis.imshow(
                image[0].numpy(), norm=norm, cmap=VALUES, origin="lower", interpolation="nearest"
            )
    part.suptitle(shorten(sample.name, 46), fontsize=9)
    if not photograph:
        assert norm is not None
        label_bar(part.colorbar(shown, ax=axes, fraction=0.05, pad=0.02), norm, sample.unit)
        if sample.pixel_scale is not None:
            draw_scale_bar(axes[1], sample.hr.shape[-1], sample.pixel_scale)


def _size(image: Tensor) -> str:
    height, width = image.shape[-2:]
    return f"{width}×{height}"
