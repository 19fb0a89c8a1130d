"""Figures of an evaluation: means, scores of the classes, calibration, and a classifier's ROC."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srkit.evaluation.calibration import (
    LEVELS,
    ONE_SIGMA,
    REMOVED,
    SIGNAL_TO_NOISE,
    Calibration,
)
from srkit.evaluation.class_scores import ClassScores
from srkit.evaluation.classification import MICRO, Classification, Roc
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report._metric_info import ORIGINAL, MetricInfo
from srkit.report._tables import NAMED, format_value, heading
from srkit.report.plotting import (
    BETTER,
    COLOURS,
    GREY,
    WORSE,
    colours,
    panels,
    shorten,
    style,
)

Floats = NDArray[np.float64]

#: Most characters of the name of a model or class, and of a class beside a large figure.
NAME_WIDTH, CLASS_WIDTH = 28, 20
#: Pulls beyond this are gathered in the outermost bins.
FARTHEST_PULL = 5.0


def summary_bars(evaluation: Evaluation) -> Figure:
    """Draw the mean of each metric by model, with its standard error if that is defined.

    A signed metric is drawn with its scatter instead.
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
    axis.ticklabel_format(axis="x", scilimits=(-3, 4))  # otherwise small numbers overlap
    axis.set_title(heading(metric), loc="left")


def _whisker(model: ModelResult, metric: MetricInfo) -> float:
    length = model.scatter if metric.signed else model.standard_error
    return float(np.nan_to_num(length(metric.name)))


def class_differences(scores: ClassScores, measure: str) -> Figure:
    """Draw how the class scores of each model differ from those of the original images.

    The upper row shows the distributions, the lower row the differences against the difficulty of
    a class. Figure 3 of the DarioNet report shows both at once in three dimensions.

    Parameters
    ----------
    scores
        Scores that include those of the original images.
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
    """Draw a scatter plot; the area of a circle grows with the number of coinciding classes."""
    points = np.round(np.column_stack([difficulty, difference]), 2)
    places, counts = np.unique(points, axis=0, return_counts=True)
    areas = np.maximum(counts * min(22.0, 400.0 / counts.max()), 3.0)  # in square points
    axis.scatter(places[:, 0], places[:, 1], s=areas, color=colour, alpha=0.65, linewidth=0)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xlim(-0.12, 1.12)
    axis.set_ylim(-1.2, 1.2)


def hardest_classes(scores: ClassScores) -> Figure:
    """Draw the classes of lowest F1 on the original, for each model.

    This is figure 4 of the DarioNet report.
    """
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
    """Draw the classes whose F1 falls (left) and rises (right) most.

    This is figure 5 of the DarioNet report.

    Parameters
    ----------
    scores
        Scores of both models.
    model, against
        Names of the model and of the one that it is compared with.
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
    """Label horizontal bars from the top down, on axes with room for `rows` of them."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(rows - 0.5, -0.5)
    axis.grid(visible=False, axis="y")


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")


def calibration_figure(calibrations: Mapping[str, Calibration]) -> Figure:
    """Draw coverage, overall and by brightness, pulls and sparsification of models, by name."""
    with style():
        figure, axes = panels(4, 4, (3.6, 3.9))
        drawings = (_coverage, _by_brightness, _pulls, _sparsification)
        for axis, draw in zip(axes, drawings, strict=True):
            for i, calibration in enumerate(calibrations.values()):
                draw(axis, calibration, COLOURS[i % len(COLOURS)])
        coverage, brightness, pulls, sparsification = axes
        brightness.axhline(ONE_SIGMA, color=GREY, linewidth=0.8, linestyle=":")
        brightness.set(xlabel="S/N, SR / σ", ylabel="share of pixels within 1 σ", ylim=(0, 1))
        ends = [f"{low:g}" for low in SIGNAL_TO_NOISE[1:-1]]
        brightness.set_xticks(np.arange(len(ends)) + 0.5, ends)
        coverage.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        coverage.set(xlabel="nominal coverage", ylabel="share of pixels covered", aspect="equal")
        x = np.linspace(-FARTHEST_PULL, FARTHEST_PULL, 201)
        normal = [NormalDist().pdf(value) for value in x]
        pulls.plot(x, normal, color=GREY, linewidth=0.8, linestyle=":")
        pulls.set(xlabel="pull, (SR − HR) / σ", ylabel="density", yscale="log", ylim=(1e-4, 10))
        pulls.yaxis.set_major_formatter("{x:g}")
        sparsification.set(xlabel="share of pixels removed, largest σ first", ylim=(0, 1.05))
        sparsification.set_ylabel("RMS error of the rest / of all")
        labels = [
            f"{shorten(name, NAME_WIDTH)}: pulls {one.bias:+.2f} ± {one.spread:.2f}, "
            f"calibration error {one.calibration_error:.3f}, AUSE {one.ause:.3f}"
            for name, one in calibrations.items()
        ]
        figure.legend(coverage.lines[: len(labels)], labels, loc="outside upper center")
    return figure


def _coverage(axis: Axes, calibration: Calibration, colour: str) -> None:
    axis.plot([0, *LEVELS, 1], [0, *calibration.coverage(), 1], color=colour)


def _by_brightness(axis: Axes, calibration: Calibration, colour: str) -> None:
    bins = calibration.by_brightness()
    places = [SIGNAL_TO_NOISE.index(each.low) for each in bins]
    shares, errors = (
        [getattr(each, name) for each in bins] for name in ("covered", "counting_error")
    )
    axis.errorbar(places, shares, errors, color=colour, fmt="o-", markersize=3, linewidth=1)


def _pulls(axis: Axes, calibration: Calibration, colour: str) -> None:
    pulls = calibration.pulls().clip(-FARTHEST_PULL, FARTHEST_PULL)
    bins = np.linspace(-FARTHEST_PULL, FARTHEST_PULL, 51).tolist()
    axis.hist(pulls, bins, density=True, histtype="step", color=colour)


def _sparsification(axis: Axes, calibration: Calibration, colour: str) -> None:
    axis.plot(REMOVED, calibration.sparsification(), color=colour)
    axis.plot(REMOVED, calibration.oracle(), color=colour, linewidth=0.8, linestyle="--")


def confusion_figure(classification: Classification) -> Figure:
    """Draw the share of each true class (row) that is predicted as each class (column).

    The cells contain the share and the number of images, unless there are too many classes.
    """
    counts = classification.confusion()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    named = len(classification.classes) <= NAMED
    side = 2.4 + 0.75 * len(classification.classes) if named else 7.0
    with style():
        figure = Figure(figsize=(side + 0.9, side), layout="constrained")
        axis = figure.add_subplot()
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
        axis.grid(visible=False)
        axis.set(xlabel="predicted class", ylabel="true class")
        if named:
            names = [shorten(name, CLASS_WIDTH) for name in classification.classes]
            axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
            axis.set_yticks(range(len(names)), names)
            for (row, column), share in np.ndenumerate(shares):
                axis.text(
                    column,
                    row,
                    f"{share:.3f}\n{counts[row, column]}",
                    ha="center",
                    va="center",
                    color="white" if share > 0.55 else "black",
                )
    return figure


def roc_figure(classification: Classification) -> Figure:
    """Draw the ROC of each class against the others, and their micro-average.

    If there are many classes, those of smallest AUC are drawn.
    """
    curves = classification.curves()
    hardest = sorted(sorted(curves, key=lambda k: curves[k].auc)[:NAMED])
    with style():
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        axis = figure.add_subplot()
        for i, k in enumerate(hardest):
            _curve(axis, classification.classes[k], curves[k], color=COLOURS[i % len(COLOURS)])
        _curve(axis, MICRO, classification.micro_average(), color="black", linestyle="--")
        axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        # A margin keeps curves along the edge visible.
        axis.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
        axis.set(xlabel="false positive rate", ylabel="true positive rate")
        figure.legend(loc="outside right center")
    return figure


def _curve(axis: Axes, name: str, roc: Roc, **line: Any) -> None:
    label = f"{shorten(name, CLASS_WIDTH)}, AUC {roc.auc:.4f}"
    axis.plot(roc.false_positive_rate, roc.true_positive_rate, label=label, **line)
