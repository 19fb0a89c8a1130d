"""Figures of an evaluation: means of the models, scores of the classes."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srkit.evaluation.results import Evaluation, ModelResult
from srkit.evaluation.statistics import ClassScores, error_of_mean
from srkit.report.metric_info import ORIGINAL, MetricInfo
from srkit.report.plotting import BETTER, WORSE, colours, panels, shorten, style
from srkit.report.tables import NAMED, format_value, heading

Floats = NDArray[np.float64]

NAME_WIDTH = 28


def summary_bars(evaluation: Evaluation) -> Figure:
    """Draw the mean of each metric by model, with its standard error where there is one.

    A signed metric has its scatter instead.
    """
    with style():
        height = 0.75 + 0.3 * len(evaluation.models)
        figure, axes = panels(len(evaluation.metrics), 3, (3.7, height))
        for axis, metric in zip(axes, evaluation.metrics, strict=True):
            _bars_of_metric(axis, evaluation, metric)
    return figure


def _bars_of_metric(axis: Axes, evaluation: Evaluation, metric: MetricInfo) -> None:
    names = [model.name for model in evaluation.models]
    means = np.array([model.mean(metric.name) for model in evaluation.models])
    errors = [_whisker(model, metric) for model in evaluation.models]
    drawn = np.where(np.isfinite(means), means, 0.0)
    axis.barh(
        range(len(names)),
        drawn,
        xerr=errors,
        color=[colours(names)[name] for name in names],
        height=0.7,
        error_kw={"elinewidth": 1, "capsize": 2.5},
    )
    for row, (end, error, mean) in enumerate(zip(drawn, errors, means, strict=True)):
        axis.annotate(
            format_value(metric, float(mean)),
            (max(end + error, 0.0), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    name_rows(axis, [shorten(name, NAME_WIDTH) for name in names], len(names))
    place = axis.get_subplotspec()
    axis.tick_params(labelleft=place is None or place.is_first_col())
    axis.margins(x=0.25)
    axis.ticklabel_format(axis="x", scilimits=(-3, 4))  # else small numbers run into each other
    axis.set_title(heading(metric), loc="left")


def _whisker(model: ModelResult, metric: MetricInfo) -> float:
    if metric.signed:
        return float(np.nan_to_num(model.scatter(metric.name)))
    return error_of_mean(model, metric.name) or 0.0


def class_differences(scores: ClassScores, measure: str) -> Figure:
    """Draw how each model's class scores differ from the original's.

    The upper row holds the distributions; the lower one sets the differences against how hard a
    class is. The DarioNet report's figure 3 shows both at once in three dimensions.

    Parameters
    ----------
    scores
        Scores that include the original's.
    measure
        ``accuracy`` or ``f1``.
    """
    values = scores.accuracy if measure == "accuracy" else scores.f1
    models = [name for name in values if name != ORIGINAL]
    title = {"accuracy": "accuracy", "f1": "F1"}[measure]
    with style():
        figure = Figure(figsize=(1 + 2.4 * len(models), 5), layout="constrained")
        grid = figure.subplots(2, len(models), squeeze=False, sharex="row", sharey="row")
        for column, name in zip(grid.T, models, strict=True):
            difference = values[name] - values[ORIGINAL]
            colour = colours(list(values))[name]
            _histogram(column[0], difference, colour)
            column[0].set_title(shorten(name, NAME_WIDTH))
            _difference_by_difficulty(column[1], scores.f1[ORIGINAL], difference, colour)
        grid[0, 0].set_ylabel("classes")
        grid[1, 0].set_ylabel(f"{title}, model − original")
        for upper, lower in grid.T:
            upper.set_xlabel(f"{title}, model − original")
            lower.set_xlabel("F1 on the original")
    return figure


def _histogram(axis: Axes, difference: Floats, colour: str) -> None:
    axis.hist(difference, bins=np.linspace(-1.05, 1.05, 22).tolist(), color=colour)
    axis.axvline(0, color="black", linewidth=0.8)
    mean = float(difference.mean())
    axis.axvline(mean, color="black", linewidth=1.2, linestyle="--")
    axis.set_xlim(-1.1, 1.1)
    axis.text(
        0.98, 0.97, f"mean {_signed(mean, 3)}", transform=axis.transAxes, ha="right", va="top"
    )


def _difference_by_difficulty(
    axis: Axes, difficulty: Floats, difference: Floats, colour: str
) -> None:
    """Scatter; the area of a circle grows with the number of classes that coincide."""
    points = np.round(np.column_stack([difficulty, difference]), 2)
    places, counts = np.unique(points, axis=0, return_counts=True)
    areas = np.maximum(counts * min(22.0, 400.0 / counts.max()), 3.0)  # in square points
    axis.scatter(places[:, 0], places[:, 1], s=areas, color=colour, alpha=0.65, linewidth=0)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xlim(-0.12, 1.12)
    axis.set_ylim(-1.2, 1.2)


def hardest_classes(scores: ClassScores) -> Figure:
    """Draw the classes of lowest F1 on the original, for each model: the report's figure 4."""
    order = np.argsort(scores.f1[ORIGINAL], kind="stable")[:NAMED]
    models = list(scores.f1)
    thickness = 0.8 / len(models)
    with style():
        figure = Figure(figsize=(7.5, 1.2 + len(order) * (0.16 + 0.11 * len(models))))
        figure.set_layout_engine("constrained")
        axis = figure.add_subplot()
        rows = np.arange(len(order))
        for i, name in enumerate(models):
            offset = (i - (len(models) - 1) / 2) * thickness
            axis.barh(
                rows + offset,
                scores.f1[name][order],
                height=thickness,
                color=colours(models)[name],
                label=shorten(name, NAME_WIDTH),
            )
        name_rows(axis, [_class_label(scores, k) for k in order], len(order))
        axis.set_xlim(0, 1.02)
        axis.set_xlabel("F1")
        figure.legend(
            loc="outside upper center", ncols=math.ceil(len(models) / math.ceil(len(models) / 4))
        )
    return figure


def class_changes(scores: ClassScores, model: str, against: str) -> Figure:
    """Draw the classes whose F1 falls (left) and rises (right) most: the report's figure 5.

    Parameters
    ----------
    scores
        Scores of both models.
    model, against
        The model, and the one it is compared with.
    """
    difference = scores.f1[model] - scores.f1[against]
    order = np.argsort(difference, kind="stable")
    falls = [k for k in order[:NAMED] if difference[k] < 0]
    rises = [k for k in order[::-1][:NAMED] if difference[k] > 0]
    with style():
        rows = max(len(falls), len(rises), 2)
        figure, axes = panels(2, 2, (4.6, 1.0 + 0.27 * rows))
        for axis, chosen, colour, title in zip(
            axes, (falls, rises), (WORSE, BETTER), ("Biggest losses", "Biggest gains"), strict=True
        ):
            _change_bars(axis, scores, chosen, difference, colour, rows)
            axis.set_title(title, loc="left")
            axis.set_xlabel(f"F1, {shorten(model, 20)} − {shorten(against, 20)}")
    return figure


def _change_bars(
    axis: Axes,
    scores: ClassScores,
    chosen: list[int],
    difference: Floats,
    colour: str,
    rows: int,
) -> None:
    if not chosen:
        axis.text(0.5, 0.5, "no class", transform=axis.transAxes, ha="center", va="center")
        axis.set(xticks=[], yticks=[])
        return
    axis.barh(range(len(chosen)), difference[chosen], color=colour, height=0.7)
    name_rows(axis, [_class_label(scores, k) for k in chosen], rows)
    for row, k in enumerate(chosen):
        axis.annotate(
            _signed(difference[k], 2),
            (difference[k], row),
            xytext=(3 if difference[k] > 0 else -3, 0),
            textcoords="offset points",
            va="center",
            ha="left" if difference[k] > 0 else "right",
        )
    axis.margins(x=0.25)


def _class_label(scores: ClassScores, k: int) -> str:
    return f"{shorten(scores.names[k], NAME_WIDTH)} ({scores.support[k]})"


def name_rows(axis: Axes, names: list[str], rows: int) -> None:
    """Name horizontal bars from the top down, on axes with room for so many rows."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(rows - 0.5, -0.5)
    axis.grid(visible=False, axis="y")


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")
