"""Figures of a ranking: the same squares from every model, and quality against cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srkit.evaluation.panels import GAP, TITLE
from srkit.evaluation.results import ModelResult
from srkit.report.pictures import Pixels
from srkit.report.plotting import COLOURS, log_scale, panels, shorten, style
from srkit.report.squares import CELL, Box, add_cell, mark
from srkit.report.tables import format_value, heading, label
from srkit.studies.ranking.bootstrap import interval
from srkit.studies.ranking.results import Cost, Ranking, View

#: Most squares side by side, inches below each for its caption, and characters of a name there.
ACROSS, CAPTION, NAME_WIDTH = 7, 0.42, 25
#: Marks of the models, when the colours have come round.
MARKERS = "osD^vP"
#: Places a text in the middle of a mark, above it.
MIDDLE: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 5}
#: What models cost, as axes of the plot.
AXES: tuple[tuple[str, Callable[[Cost], float]], ...] = (
    ("parameters", lambda cost: cost.parameters),
    ("multiply-adds for 1280 x 720", lambda cost: cost.multiply_adds),
    ("seconds a picture", lambda cost: cost.seconds),
)


def ranking_sheet(found: Ranking) -> tuple[Figure, float]:
    """Draw the same square of each picture, HR first, then the models, the best first.

    Returns
    -------
    figure, dpi
        The figure, and the resolution at which a pixel of HR is at least one of the figure.
    """
    shown = 3 + len(found.evaluation.models)  # HR whole, HR, LR, and the models
    lines = math.ceil(shown / ACROSS)
    columns = math.ceil(shown / lines)
    width = GAP + columns * (CELL + GAP)
    height = TITLE + lines * (CELL + CAPTION)
    total = len(found.views) * height
    with style():
        figure = Figure(figsize=(width, total))
        for number, view in enumerate(found.views):
            top = total - number * height
            name = shorten(found.evaluation.names[view.index], 80)
            figure.text(GAP / width, (top - 0.2) / total, name, weight="bold")
            for place, (image, text, box) in enumerate(_squares(found, view)):
                line, column = divmod(place, columns)
                bottom = top - TITLE - CELL - line * (CELL + CAPTION)
                axis = add_cell(figure, GAP + column * (CELL + GAP), bottom)
                _show(axis, image, text)
                if box is not None:
                    mark(axis, image, box)
    side = max(max(view.whole.shape[:2]) for view in found.views)
    return figure, min(max(side / CELL, 120.0), 300.0)


def _squares(found: Ranking, view: View) -> Iterator[tuple[Pixels, str, Box | None]]:
    """Give each image of a picture's rows with its caption, and a square to mark in it."""
    yield view.whole, "HR, whole", view.box
    yield view.hr, "HR", None
    yield view.lr, f"LR, 1/{found.scale}", None
    for rank, model in enumerate(found.evaluation.models, start=1):
        score = format_value(found.by, float(model.values[found.by.name][view.index]))
        text = f"{rank}. {shorten(model.name, NAME_WIDTH)}\n{_name(found)} {score}"
        yield view.models[model.name], f"{text} {found.by.unit}".rstrip(), None


def _name(found: Ranking) -> str:
    return found.by.name.replace("_", " ")


def _show(axis: Axes, image: Pixels, text: str) -> None:
    pixels = image[..., 0] if image.shape[2] == 1 else image
    axis.imshow(pixels, "gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_anchor("NW")
    axis.text(0, -0.03, text, transform=axis.transAxes, va="top", fontsize=8)


def cost_figure(found: Ranking) -> Figure:
    """Draw the metric that ranks against each cost, with the 95 % interval of the mean.

    What costs nothing on an axis, as interpolations, is a dashed line there; an axis on which
    nothing costs anything is left out.
    """
    drawn = [(title, cost) for title, cost in AXES if any(map(cost, found.costs.values()))]
    with style():
        figure, axes = panels(len(drawn), 3, (3.9, 3.6))
        for axis, (title, cost_of) in zip(axes, drawn, strict=True):
            axis.sharey(axes[0])
            _against_cost(axis, found, cost_of)
            axis.set_xlabel(title)
            axis.tick_params(labelleft=axis is axes[0])
        axes[0].set_ylabel(heading(found.by).replace("_", " "))
        # Every model takes time, and so has its mark on the last axis.
        lines, names = axes[-1].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=len(drawn))
    return figure


def _against_cost(axis: Axes, found: Ranking, cost_of: Callable[[Cost], float]) -> None:
    for number, model in enumerate(found.evaluation.models):
        mean = model.mean(found.by.name)
        if not math.isfinite(mean):
            continue
        colour = COLOURS[number % len(COLOURS)]
        cost = cost_of(found.costs[model.name])
        if not cost:
            axis.axhline(mean, color=colour, linestyle="--", linewidth=1)
            continue
        axis.errorbar(
            cost,
            mean,
            yerr=_errors(model, found, mean),
            color=colour,
            marker=MARKERS[number // len(COLOURS) % len(MARKERS)],
            markersize=11,
            capsize=3,
            elinewidth=1,
            linestyle="none",
            label=f"{number + 1}. {shorten(model.name, 40)}",
        )
        axis.text(cost, mean, str(number + 1), color="white", fontsize=7, **MIDDLE)
    log_scale(axis, [cost_of(found.costs[model.name]) for model in found.evaluation.models])
    axis.margins(y=0.12)


def _errors(model: ModelResult, found: Ranking, mean: float) -> list[list[float]] | None:
    ends = interval(model.values[found.by.name])
    return None if ends is None else [[max(0.0, mean - ends[0])], [max(0.0, ends[1] - mean)]]


def cost_caption(found: Ranking) -> str:
    """Explain the plot."""
    return (
        f"{label(found.by)}, mean over the pictures, against what a model costs; bars: 95 % "
        "bootstrap interval of the mean. It is wider than that of a difference between models, "
        "since some pictures are hard for all. Dashed: what has no such cost. The numbers are the "
        "ranks."
    )
