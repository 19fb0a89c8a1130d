"""Figures of a sweep: metrics by variant, and the trials of a search."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from srkit.evaluation.figures import name_rows
from srkit.report._metric_info import ORIGINAL, MetricInfo
from srkit.report._tables import heading
from srkit.report.plotting import BETTER, COLOURS, GREY, WORSE, panels, shorten, style
from srkit.studies.sweeps.results import Summary, Sweep

Floats = NDArray[np.float64]

NAME_WIDTH = 36


def variants_figure(found: Sweep) -> Figure:
    """Draw each metric by variant: every run as a dot, with mean and standard deviation."""
    rows = [summary for summary in found.summaries() if summary.evaluated]
    with style():
        figure, axes = panels(len(found.metrics), 3, (3.9, 1.2 + 0.3 * len(rows)))
        for axis, metric in zip(axes, found.metrics, strict=True):
            _dots(axis, found, rows, metric)
        lines, names = axes[0].get_legend_handles_labels()
        if lines:
            figure.legend(lines, names, loc="outside lower center", ncols=4)
    return figure


def _dots(axis: Axes, found: Sweep, rows: list[Summary], metric: MetricInfo) -> None:
    best = found.best(metric)
    for place, row in enumerate(rows):
        values = [value for value in row.values(metric.name) if math.isfinite(value)]
        colour = WORSE if row.name in best else BETTER
        axis.plot(values, [place] * len(values), "o", color=colour, alpha=0.55, markersize=4)
        if len(values) > 1:
            mean, deviation = row.mean(metric.name), row.deviation(metric.name)
            axis.errorbar(mean, place, xerr=deviation, color=colour, capsize=3, linewidth=1.2)
            axis.plot([mean], [place], "|", color=colour, markersize=13, markeredgewidth=2)
    for row, colour in zip(found.references(), COLOURS[2:] * 2, strict=False):
        mean = row.mean(metric.name)
        if math.isfinite(mean) and row.name != ORIGINAL:
            name = shorten(row.name, NAME_WIDTH)
            axis.axvline(mean, color=colour, linewidth=1, linestyle="--", label=name)
    name_rows(axis, [shorten(row.name, NAME_WIDTH) for row in rows], len(rows))
    spec = axis.get_subplotspec()
    axis.tick_params(labelleft=spec is None or spec.is_first_col())
    axis.margins(x=0.1)
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter("{x:.4g}")
    axis.set_xlabel(heading(metric))


def search_figure(found: Sweep) -> Figure:
    """Draw the value of each trial against every searched value.

    Trials that are far worse than most, such as diverged ones, are hollow and drawn at the edge.
    """
    objective, best = found.objective, found.best_trial()
    assert objective is not None and best is not None
    trials = [o for o in found.outcomes if math.isfinite(o.validated)]
    values = np.array([o.validated for o in trials])
    shown = _drawn_in(values, higher_is_better=objective.higher_is_better)
    keys = list(best.variant.changes)
    with style():
        figure, axes = panels(len(keys), 3, (3.7, 2.8))
        for axis, key in zip(axes, keys, strict=True):
            numbers = np.array([float(o.variant.changes[key]) for o in trials])
            inside = shown == values
            order = np.arange(len(trials))
            axis.scatter(numbers[inside], shown[inside], c=order[inside], cmap="viridis", s=22)
            axis.plot(numbers[~inside], shown[~inside], "o", color=GREY, fillstyle="none")
            where = float(best.variant.changes[key])
            axis.plot([where], [best.validated], marker="*", markersize=14, color=WORSE)
            if key in found.logarithmic:
                axis.set_xscale("log")
                axis.xaxis.set_major_formatter("{x:g}")
                axis.xaxis.set_minor_formatter(NullFormatter())
            else:
                axis.locator_params(axis="x", nbins=5)
            axis.set_xlabel(key)
            axis.set_ylabel(f"{heading(objective)} (validation)")
    return figure


def _drawn_in(values: Floats, *, higher_is_better: bool) -> Floats:
    """Limit values to the worst quartile minus its distance from the best value."""
    sign = 1.0 if higher_is_better else -1.0
    ranked = sign * values
    edge = float(np.percentile(ranked, 25))
    return sign * ranked.clip(min=2 * edge - float(ranked.max()))
