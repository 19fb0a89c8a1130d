"""The square of an image that a figure shows enlarged: chosen, cut out and marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from srkit.report._pictures import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Side of an image in inches.
CELL = 1.75
#: Side of the square over the side of the image.
ZOOM = 0.25


@dataclass(frozen=True, slots=True)
class CropBox:
    """The top left corner of a square, as fractions of the height and width of an image."""

    top: float
    left: float

    def cut(self, image: Pixels) -> Pixels:
        """Return the square of an image of any size."""
        height, width = image.shape[:2]
        y, x = round(self.top * height), round(self.left * width)
        return image[y : y + round(ZOOM * height), x : x + round(ZOOM * width)]


def even_choice(count: int, most: int) -> list[int]:
    """Return at most `most` image indices, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def add_cell(figure: Figure, left: float, bottom: float) -> Axes:
    """Add axes of the size of an image; the position is in inches."""
    width, height = figure.get_size_inches()
    axis = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height))
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return axis


def mark_box(axis: Axes, image: Pixels, box: CropBox) -> None:
    """Draw the outline of a square on an image."""
    from matplotlib.patches import Rectangle

    height, width = image.shape[:2]
    corner = (box.left * width - 0.5, box.top * height - 0.5)
    size = (ZOOM * width, ZOOM * height)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="black", linewidth=2.2))
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="white", linewidth=1))


def most_detailed(grey: Pixels) -> CropBox:
    """Return the square of an ``(H, W)`` image that varies most, beyond the noise of pixels."""
    block = max(1, round(min(grey.shape) * ZOOM / 16))
    height, width = (side // block * block for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // block, block, width // block, block)
    coarse = blocks.mean(axis=(1, 3))
    detail = np.abs(np.diff(coarse, axis=0))[:, :-1] + np.abs(np.diff(coarse, axis=1))[:-1]
    places = np.linspace(0, 1 - ZOOM, 7)
    boxes = (CropBox(float(top), float(left)) for top in places for left in places)
    return max(boxes, key=lambda box: float(box.cut(detail[..., None]).mean()))
