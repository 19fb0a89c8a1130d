"""Panels of images: the original, what was made of it, and what the teacher sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from srkit.plotting import BETTER, WORSE, shorten, style
from srkit.results import Evaluation
from srkit.statistics import ORIGINAL, class_scores
from srkit.tables import format_value

Pixels = NDArray[np.float32]
#: Gives, for each image index, the columns of its row: ``(H, W, 3)`` in [0, 1], by name.
Render = Callable[[Sequence[int]], list[dict[str, Pixels]]]

#: Sides in inches: of an image, the gap beside it, its caption, and a row's title.
CELL, GAP, CAPTION, TITLE = 1.75, 0.08, 0.56, 0.3
#: Side of the zoomed crop over the side of the image.
ZOOM = 0.25


@dataclass(frozen=True, slots=True)
class Box:
    """A square of an image, in shares of its height and width."""

    top: float
    left: float

    def cut(self, image: Pixels) -> Pixels:
        """Cut the square out of an image of any size."""
        height, width = image.shape[:2]
        y, x = round(self.top * height), round(self.left * width)
        return image[y : y + round(ZOOM * height), x : x + round(ZOOM * width)]


def even_choice(count: int, most: int) -> list[int]:
    """Choose image indices that are evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def changed_images(
    evaluation: Evaluation, model: str, against: str, gains: bool, most: int = 3
) -> list[int]:
    """Choose an image of each class whose F1 a model changes most, as the report's figures 6 and 7.

    Parameters
    ----------
    evaluation
        The results.
    model, against
        The model, and the one it is compared with.
    gains
        Whether to look for classes that gain; else for those that lose.
    most
        Most images.

    Returns
    -------
    list of int
        Indices of images that only one of the two gets right; empty without labels or
        predictions.
    """
    scores = class_scores(evaluation)
    if scores is None or not {model, against} <= scores.f1.keys():
        return []
    better, worse = (model, against) if gains else (against, model)
    difference = scores.f1[better] - scores.f1[worse]
    right = _right(evaluation, better) & ~_right(evaluation, worse)
    chosen = []
    for k in np.argsort(-difference, kind="stable"):
        images = np.flatnonzero(right & (evaluation.labels == scores.classes[k]))
        chosen += images[:1].tolist()
    return chosen[:most]


def _right(evaluation: Evaluation, name: str) -> NDArray[np.bool_]:
    model = evaluation.model(name)
    assert model is not None
    return np.asarray(model.predictions == evaluation.labels)


def image_panels(
    evaluation: Evaluation, indices: Sequence[int], render: Render, zoom: bool = False
) -> tuple[Figure, float]:
    """Draw images side by side, a row for each, pixel by pixel.

    Parameters
    ----------
    evaluation
        The results that the captions tell of.
    indices
        Which images.
    render
        Gives their pixels.
    zoom
        Whether to repeat each row with its most detailed square, enlarged.

    Returns
    -------
    figure, dpi
        The figure, and the resolution at which a pixel of the largest image is one of the figure.
    """
    rows = render(indices)
    width = GAP + max(len(row) for row in rows) * (CELL + GAP)
    block = TITLE + CELL + CAPTION + (CELL + GAP if zoom else 0.0)
    side = max(max(image.shape[:2]) for row in rows for image in row.values())
    with style():
        figure = Figure(figsize=(width, block * len(rows)))
        for i, (index, row) in enumerate(zip(indices, rows, strict=True)):
            top = block * (len(rows) - i)
            figure.text(
                GAP / width,
                (top - 0.2) / (block * len(rows)),
                _row_title(evaluation, index),
                weight="bold",
            )
            _draw_row(figure, evaluation, index, row, top - TITLE, zoom)
    return figure, min(max(side / CELL, 120.0), 300.0)


def _row_title(evaluation: Evaluation, index: int) -> str:
    name = evaluation.names[index]
    name = name if len(name) <= 60 else f"…{name[-59:]}"
    if evaluation.labels is None:
        return name
    return f"{name}: {shorten(evaluation.class_name(int(evaluation.labels[index])), 40)}"


def _draw_row(
    figure: Figure,
    evaluation: Evaluation,
    index: int,
    row: dict[str, Pixels],
    top: float,
    zoom: bool,
) -> None:
    box = _most_detailed(next(iter(row.values()))) if zoom else None
    for column, (name, image) in enumerate(row.items()):
        left = GAP + column * (CELL + GAP)
        axis = _cell(figure, left, top - CELL)
        _show(axis, image)
        bottom = axis
        if box is not None:
            _frame(axis, image, box)
            bottom = _cell(figure, left, top - 2 * CELL - GAP)
            _show(bottom, box.cut(image))
        text, colour = _caption(evaluation, index, name)
        bottom.text(0, -0.03, text, transform=bottom.transAxes, va="top", fontsize=8, color="black")
        if colour is not None:
            bottom.spines[:].set(visible=True, color=colour, linewidth=2)


def _cell(figure: Figure, left: float, bottom: float) -> Axes:
    """Add axes of one cell's size, placed in inches."""
    width, height = figure.get_size_inches()
    axis = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height))
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return axis


def _show(axis: Axes, image: Pixels) -> None:
    """Show a picture, one of a single channel in grey; black and white are 0 and 1 in all."""
    pixels = image[..., 0] if image.shape[2] == 1 else image
    axis.imshow(np.clip(pixels, 0, 1), "gray", vmin=0, vmax=1, interpolation="nearest")


def _frame(axis: Axes, image: Pixels, box: Box) -> None:
    height, width = image.shape[:2]
    corner = (box.left * width - 0.5, box.top * height - 0.5)
    size = (ZOOM * width, ZOOM * height)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="black", linewidth=2.2))
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="white", linewidth=1))


def _caption(evaluation: Evaluation, index: int, name: str) -> tuple[str, str | None]:
    """Tell a column's name, what the teacher calls it, and its PSNR; with the answer's colour."""
    model = evaluation.model(name)
    if model is None:
        return name, None
    lines, colour = [shorten(name, 26)], None
    named = evaluation.classes is not None or evaluation.labels is not None
    if model.predictions is not None and named:
        answer = int(model.predictions[index])
        mark = ""
        if evaluation.labels is not None:
            right = answer == int(evaluation.labels[index])
            mark, colour = ("✓ ", BETTER) if right else ("✗ ", WORSE)
        lines.append(mark + shorten(evaluation.class_name(answer), 22))
    psnr = next((metric for metric in evaluation.metrics if metric.unit == "dB"), None)
    if psnr is not None and name != ORIGINAL:
        lines.append(f"{format_value(psnr, float(model.values[psnr.name][index]))} dB")
    return "\n".join(lines), colour


def _most_detailed(image: Pixels) -> Box:
    """Find the square of a coarse grid that varies most, beyond the noise of single pixels."""
    grey = image.mean(axis=2)
    block = max(1, round(min(grey.shape) * ZOOM / 16))
    height, width = (side // block * block for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // block, block, width // block, block)
    coarse = blocks.mean(axis=(1, 3))
    detail = np.abs(np.diff(coarse, axis=0))[:, :-1] + np.abs(np.diff(coarse, axis=1))[:-1]
    places = np.linspace(0, 1 - ZOOM, 7)
    boxes: Iterable[Box] = (Box(float(top), float(left)) for top in places for left in places)
    return max(boxes, key=lambda box: float(box.cut(detail[..., None]).mean()))
