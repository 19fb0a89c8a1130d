"""Panels of images: the original, its restorations, and the predictions of the teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srkit.evaluation.class_scores import class_scores
from srkit.evaluation.results import Evaluation
from srkit.report._details import CELL, CropBox, add_cell, mark_box, most_detailed
from srkit.report._metric_info import ORIGINAL
from srkit.report._pictures import ImageRow, Pixels
from srkit.report._tables import format_value
from srkit.report.colour_scales import (
    DIFFERENCES,
    MAPS,
    VALUES,
    brightness_scale,
    difference_scale,
    draw_scale_bar,
    extension,
    label_bar,
)
from srkit.report.plotting import BETTER, WORSE, shorten, style

#: Returns what is shown of each image, by index.
Render = Callable[[Sequence[int]], list[ImageRow]]

#: Lengths in inches: the gap beside an image, its caption, and the title of a row.
GAP, CAPTION, TITLE = 0.08, 0.56, 0.3
#: Inches to the left of the images for the label of a strip, and to the right for colour bars.
LABEL, BAR = 0.2, 0.75
LR = "LR"
BLACK_TO_WHITE = Normalize(0, 1)


def changed_images(
    evaluation: Evaluation, model: str, against: str, gains: bool, most: int = 3
) -> list[int]:
    """Choose an image of each class whose F1 a model changes most.

    These are figures 6 and 7 of the DarioNet report.

    Parameters
    ----------
    evaluation
        The results.
    model, against
        Names of the model and of the one that it is compared with.
    gains
        Whether to choose classes whose F1 rises, otherwise classes whose F1 falls.
    most
        Maximum number of images.

    Returns
    -------
    list of int
        Indices of images that are classified correctly from one of the two only; empty without
        labels or predictions.
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


@dataclass(frozen=True, slots=True)
class Strip:
    """Images side by side that share a scale.

    Parameters
    ----------
    images
        Images by column; the others stay empty.
    label
        What the strip shows, if not the images of the columns.
    norm, colours
        Normalisation and colour map of images of one channel.
    bar
        Label of the colour bar; None for no bar.
    frame
        A square that is marked in every image.
    pixel_scale
        Pixel scale of the first image in arcsec, for a scale bar; None for no bar.
    origin
        Position of the first row of pixels.
    """

    images: Mapping[str, Pixels]
    label: str = ""
    norm: Normalize = BLACK_TO_WHITE
    colours: str = "gray"
    bar: str | None = None
    frame: CropBox | None = None
    pixel_scale: float | None = None
    origin: Literal["upper", "lower"] = "upper"


def image_panels(
    evaluation: Evaluation, indices: Sequence[int], render: Render, zoom: bool = False
) -> tuple[Figure, float]:
    """Draw images with their restorations side by side, in a row for each image.

    Measured values have a colour bar in their unit, a scale bar if the pixel scale is known, and
    the residuals of the models below them. The maps of the metrics come last.

    Parameters
    ----------
    evaluation
        The results for the captions.
    indices
        Indices of the images.
    render
        Returns their pixels.
    zoom
        Whether to repeat each row with its most detailed square, enlarged.

    Returns
    -------
    figure, dpi
        The figure, and the resolution at which one pixel of the largest image is one pixel of the
        figure.
    """
    rows = render(indices)
    blocks = [_strips(row, zoom) for row in rows]
    labels = any(strip.label for strips in blocks for strip in strips)
    bars = any(strip.bar is not None for strips in blocks for strip in strips)
    left = LABEL if labels else 0.0
    columns = max(len(row.images) for row in rows)
    width = left + GAP + columns * (CELL + GAP) + (BAR if bars else 0.0)
    heights = [TITLE + len(strips) * (CELL + GAP) - GAP + CAPTION for strips in blocks]
    side = max(max(image.shape[:2]) for row in rows for image in row.images.values())
    with style():
        figure = Figure(figsize=(width, sum(heights)))
        top = sum(heights)
        for index, row, strips, height in zip(indices, rows, blocks, heights, strict=True):
            figure.text(
                (left + GAP) / width,
                (top - 0.2) / sum(heights),
                _row_title(evaluation, index),
                weight="bold",
            )
            _draw_row(figure, evaluation, index, list(row.images), strips, left, top - TITLE)
            top -= height
    return figure, min(max(side / CELL, 120.0), 300.0)


def _strips(row: ImageRow, zoom: bool) -> list[Strip]:
    """Return the strips of a row from top to bottom."""
    box = most_detailed(_grey(row)) if zoom else None
    strips = [_brightness_strip(row, box) if row.measured else Strip(row.images, frame=box)]
    if box is not None:
        cut = {name: box.cut(image) for name, image in row.images.items()}
        strips.append(Strip(cut, norm=strips[0].norm, colours=strips[0].colours))
    if row.measured:
        strips += _residual_strips(row, strips[0].norm)
    strips += [Strip(maps, metric, colours=MAPS) for metric, maps in row.maps.items()]
    # The first row of a measured image is at the bottom, as in FITS files.
    return [replace(strip, origin="lower" if row.measured else "upper") for strip in strips]


def _brightness_strip(row: ImageRow, box: CropBox | None) -> Strip:
    # The scale is that of LR and HR, so that the values of a diverged model cannot hide the others.
    observed = [row.images[name] for name in (LR, ORIGINAL) if name in row.images]
    norm = brightness_scale(*observed or row.images.values())
    return Strip(row.images, "", norm, VALUES, row.unit, box, row.pixel_scale)


def _residual_strips(row: ImageRow, norm: Normalize) -> list[Strip]:
    """Return the differences of the models from the original, if there is one."""
    models = [name for name in row.images if name not in (ORIGINAL, LR)]
    if ORIGINAL not in row.images or not models:
        return []
    residuals = {name: row.images[name] - row.images[ORIGINAL] for name in models}
    scale = difference_scale(norm, *residuals.values())
    return [Strip(residuals, "SR − HR", scale, DIFFERENCES, row.unit)]


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
    columns: Sequence[str],
    strips: Sequence[Strip],
    left: float,
    top: float,
) -> None:
    """Draw strips below each other, and captions below each column; positions in inches."""
    lowest: dict[str, Axes] = {}
    bottom = top + GAP
    for strip in strips:
        bottom -= CELL + GAP
        lowest |= _draw_strip(figure, columns, strip, left, bottom)
    for name, axis in lowest.items():
        text, colour = _caption(evaluation, index, name)
        axis.text(0, -0.03, text, transform=axis.transAxes, va="top", fontsize=8, color="black")
        if colour is not None:
            axis.spines[:].set(visible=True, color=colour, linewidth=2)


def _draw_strip(
    figure: Figure, columns: Sequence[str], strip: Strip, left: float, bottom: float
) -> dict[str, Axes]:
    """Draw a strip with its label and its colour bar; return the axes of each column."""
    axes = {}
    for column, name in enumerate(columns):
        if name not in strip.images:
            continue
        axis = axes[name] = add_cell(figure, left + GAP + column * (CELL + GAP), bottom)
        image = strip.images[name]
        _show(axis, image, strip)
        if strip.frame is not None:
            mark_box(axis, image, strip.frame)
        if column == 0 and strip.pixel_scale is not None:
            draw_scale_bar(axis, image.shape[1], strip.pixel_scale)
    width, height = figure.get_size_inches()
    if strip.label:
        first = next(iter(axes.values()))
        first.set_ylabel(strip.label, fontsize=8, labelpad=3)
    if strip.bar is not None:
        right = left + GAP + len(columns) * (CELL + GAP)
        axis = figure.add_axes((right / width, bottom / height, 0.1 / width, CELL / height))
        beyond = extension(strip.norm, strip.images.values())
        mapped = ScalarMappable(strip.norm, strip.colours)
        label_bar(figure.colorbar(mapped, axis, extend=beyond), strip.norm, strip.bar)
    return axes


def _show(axis: Axes, image: Pixels, strip: Strip) -> None:
    """Draw an image of one channel on the scale of the strip, RGB without a scale."""
    pixels = image[..., 0] if image.shape[2] == 1 else np.clip(image, 0, 1)
    axis.imshow(
        pixels, strip.colours, norm=strip.norm, origin=strip.origin, interpolation="nearest"
    )


def _caption(evaluation: Evaluation, index: int, name: str) -> tuple[str, str | None]:
    """Return the caption of an image and the colour of its frame.

    The caption is the name of the column, the class that the teacher predicts, and the PSNR; the
    colour shows whether the prediction is right.
    """
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


def _grey(row: ImageRow) -> Pixels:
    """Return the first image of a row in shades of grey, ``(H, W)``."""
    first = next(iter(row.images.values()))
    seen: Pixels = brightness_scale(first)(first[..., 0]) if row.measured else first.mean(axis=2)
    return seen
