"""Figures of a ranking: a sheet of image details, and quality against cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srkit.evaluation.panels import GAP, TITLE
from srkit.report._details import CELL, CropBox, add_cell, mark_box
from srkit.report._pictures import Pixels
from srkit.report._tables import format_value, heading, label
from srkit.report.plotting import COLOURS, log_scale, panels, shorten, style
from srkit.studies.ranking.bootstrap import interval
from srkit.studies.ranking.results import Cost, Example, Ranking

#: Most squares side by side, height of a caption in inches, and characters of a name in it.
ACROSS, CAPTION, NAME_WIDTH = 7, 0.42, 25
#: Markers of the models; the next one is used when all colours have been used.
MARKERS = "osD^vP"
#: Style of the number in the middle of a marker.
MIDDLE: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 5}
#: The horizontal axes of the plot.
AXES: tuple[tuple[str, Callable[[Cost], float]], ...] = (
    ("parameters", lambda cost: cost.parameters),
    ("multiply-adds for 1280 x 720", lambda cost: cost.multiply_adds),
    ("seconds per image", lambda cost: cost.seconds),
)


def ranking_sheet(ranking: Ranking) -> tuple[Figure, float]:
    """Draw the same square of HR, LR and the SR of each model, the best first.

    Returns
    -------
    figure, dpi
        The figure, and a resolution at which each pixel of HR is at least one pixel wide.
    """
    shown = 3 + len(ranking.evaluation.models)  # HR whole, HR, LR, and the models
    lines = math.ceil(shown / ACROSS)
    columns = math.ceil(shown / lines)
    width = GAP + columns * (CELL + GAP)
    height = TITLE + lines * (CELL + CAPTION)
    total = len(ranking.examples) * height
    with style():
        figure = Figure(figsize=(width, total))
        for number, example in enumerate(ranking.examples):
            top = total - number * height
            name = shorten(ranking.evaluation.names[example.index], 80)
            figure.text(GAP / width, (top - 0.2) / total, name, weight="bold")
            for place, (image, text, box) in enumerate(_squares(ranking, example)):
                line, column = divmod(place, columns)
                bottom = top - TITLE - CELL - line * (CELL + CAPTION)
                axis = add_cell(figure, GAP + column * (CELL + GAP), bottom)
                # One channel is drawn in grey; of three, the colour map is ignored.
                axis.imshow(image, "gray", vmin=0, vmax=1, interpolation="nearest")
                axis.set_anchor("NW")
                axis.text(0, -0.03, text, transform=axis.transAxes, va="top", fontsize=8)
                if box is not None:
                    mark_box(axis, image, box)
    side = max(max(example.whole.shape[:2]) for example in ranking.examples)
    return figure, min(max(side / CELL, 120.0), 300.0)


def _squares(ranking: Ranking, example: Example) -> Iterator[tuple[Pixels, str, CropBox | None]]:
    """Iterate over the squares of an example, with their captions and the box to mark in them."""
    name = ranking.by.name.replace("_", " ")
    yield example.whole, "HR, whole", example.box
    yield example.hr, "HR", None
    yield example.lr, f"LR, 1/{ranking.scale}", None
    for rank, model in enumerate(ranking.evaluation.models, start=1):
        score = format_value(ranking.by, float(model.values[ranking.by.name][example.index]))
        text = f"{rank}. {shorten(model.name, NAME_WIDTH)}\n{name} {score}"
        yield example.models[model.name], f"{text} {ranking.by.unit}".rstrip(), None


def cost_figure(ranking: Ranking) -> Figure:
    """Draw the metric against each kind of cost, with the 95 % interval of its mean.

    A model whose cost is zero, such as an interpolation, is a dashed line; axes on which all costs
    are zero are omitted.
    """
    drawn = [(title, cost) for title, cost in AXES if any(map(cost, ranking.costs.values()))]
    with style():
        figure, axes = panels(len(drawn), 3, (3.9, 3.6))
        for axis, (title, cost_of) in zip(axes, drawn, strict=True):
            axis.sharey(axes[0])
            _against_cost(axis, ranking, cost_of)
            axis.set_xlabel(title)
            axis.tick_params(labelleft=axis is axes[0])
        axes[0].set_ylabel(heading(ranking.by).replace("_", " "))
        # Every model takes time, so the last axis has a marker for each.
        lines, names = axes[-1].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=len(drawn))
    return figure


def _against_cost(axis: Axes, ranking: Ranking, cost_of: Callable[[Cost], float]) -> None:
    for number, model in enumerate(ranking.evaluation.models):
        mean = model.mean(ranking.by.name)
        if not math.isfinite(mean):
            continue
        colour = COLOURS[number % len(COLOURS)]
        cost = cost_of(ranking.costs[model.name])
        if not cost:
            axis.axhline(mean, color=colour, linestyle="--", linewidth=1)
            continue
        ends = interval(model.values[ranking.by.name])
        errors = None if ends is None else [[max(0, mean - ends[0])], [max(0, ends[1] - mean)]]
        axis.errorbar(
            cost,
            mean,
            yerr=errors,
            color=colour,
            marker=MARKERS[number // len(COLOURS) % len(MARKERS)],
            markersize=11,
            capsize=3,
            elinewidth=1,
            linestyle="none",
            label=f"{number + 1}. {shorten(model.name, 40)}",
        )
        axis.text(cost, mean, str(number + 1), color="white", fontsize=7, **MIDDLE)
    log_scale(axis, [cost_of(ranking.costs[model.name]) for model in ranking.evaluation.models])
    axis.margins(y=0.12)


def cost_caption(ranking: Ranking) -> str:
    """Return the caption of :func:`cost_figure`."""
    return (
        f"{label(ranking.by)}, mean over the images, against the cost of the model. Bars: 95 % "
        "bootstrap interval of the mean, which is wider than that of the difference of two models, "
        "since the difficulty of an image affects all models. Dashed: models without such a cost. "
        "Numbers: ranks."
    )
