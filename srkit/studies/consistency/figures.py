"""Figure of a residual: the input minus SR degraded again."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from srkit.report.colour_scales import DIFFERENCES
from srkit.report.plotting import style
from srkit.studies.consistency.measure import Array, Check, strongest_band

#: Size in inches of the longer side, the margins and the colour bar.
SIDE, EDGE, BAR = 7.0, 0.35, 0.9
#: Maximum pixels per side; in larger images each pixel shows the strongest residual of several.
LARGEST = 2000
#: Maximum number of framed regions.
FRAMED = 30


def residual_figure(found: Check, title: str) -> tuple[Figure, float]:
    """Draw a residual in units of its yardstick, with the worst regions framed.

    LR is brighter than SR predicts where it is red, darker where it is blue; each pixel shows the
    band that differs most. The colours reach to twice the threshold, or to the largest residual.

    Parameters
    ----------
    found
        The check.
    title
        Title of the figure.

    Returns
    -------
    figure, dpi
        The figure, and a resolution that shows every LR pixel.
    """
    unit = found.yardstick
    factor = unit.values.where(unit.values > 0, float("nan")).float()
    image, step = _shrunk(strongest_band(found.residual / factor))
    height, width = image.shape
    share = SIDE / max(height, width)
    sides = max(width * share, 3.0), max(height * share, 1.0)
    with style():
        figure = Figure(figsize=(sides[0] + 2 * EDGE + BAR, sides[1] + 2 * EDGE))
        whole = figure.get_size_inches()
        place = EDGE / whole[0], EDGE / whole[1], sides[0] / whole[0], sides[1] / whole[1]
        axis = figure.add_axes(place)
        largest = max(2 * unit.threshold, abs(found.peak.worst) if found.peak else 0.0)
        shown = axis.imshow(image, DIFFERENCES, norm=Normalize(-largest, largest))
        axis.set(xticks=[], yticks=[], title=title)
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        for region in found.regions[:FRAMED]:
            left, top, right, bottom = (edge / step for edge in region.box)
            corner = (left - 1.5, top - 1.5)
            size = (right - left + 2, bottom - top + 2)
            axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="black", linewidth=0.8))
        beside = figure.add_axes((1 - BAR / whole[0], place[1], 0.14 / whole[0], place[3]))
        name = "noise (σ)" if unit.unit == "sigma" else "levels of 255"
        figure.colorbar(shown, beside).set_label(f"input − SR degraded, in {name}", fontsize=8)
        beside.tick_params(labelsize=7)
    return figure, min(max(max(height, width) / SIDE, 120.0), 300.0)


def _shrunk(image: Array) -> tuple[Array, int]:
    """Reduce an image that is too large to the strongest pixel of each block."""
    step = -(-max(image.shape) // LARGEST)
    if step == 1:
        return image, 1
    height, width = (-(-side // step) * step for side in image.shape)
    padded = np.full((height, width), np.nan, np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    blocks = padded.reshape(height // step, step, width // step, step).swapaxes(1, 2)
    flat = blocks.reshape(height // step, width // step, -1)
    chosen = np.nan_to_num(np.abs(flat), nan=-1).argmax(-1)[..., None]
    strongest: Array = np.take_along_axis(flat, chosen, -1)[..., 0]
    return strongest, step
