"""Curves of a training run over its epochs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from srkit.report._metric_info import MetricInfo
from srkit.report.plotting import COLOURS, GREY, WORSE, panels, style
from srkit.report.writer import ReportWriter

Record = Mapping[str, Any]
Floats = NDArray[np.float64]

NOT_METRICS = {"kind", "step", "epoch"}
#: A curve of more points than this is drawn faintly, under its running mean.
DENSE = 60


def write_curves(
    records: Iterable[Record], writer: ReportWriter, metrics: Sequence[MetricInfo] = ()
) -> None:
    """Draw the curves of a training run, like figure 2 of the DarioNet report.

    Writes ``curves_loss.png`` and ``curves_validation.png``; a figure without data is not drawn.

    Parameters
    ----------
    records
        The lines of the run's ``metrics.jsonl``: ``kind`` is ``train`` or ``validation``, ``epoch``
        is a float; training losses are ``loss/NAME``; other keys of a validation are metrics.
    writer
        Writes to the folder of the figures.
    metrics
        The validation metrics that are known; their best values are marked.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    by_kind: dict[str, list[Record]] = {"train": [], "validation": []}
    for record in records:
        by_kind[record["kind"]].append(record)
    losses = loss_curves(by_kind["train"])
    if losses is not None:
        caption = "Terms of the loss; bold: running mean."
        writer.figure("curves_loss.png", losses, "Training", caption)
    validation = validation_curves(by_kind["validation"], metrics)
    if validation is not None:
        caption = "Metrics over the epochs; star: the best value."
        writer.figure("curves_validation.png", validation, "Validation", caption)


def loss_curves(records: Sequence[Record]) -> Figure | None:
    """Draw each loss term over the epochs in a panel of its own; None if there is none."""
    losses = [name for name in _keys(records) if name.startswith("loss/")]
    if len(losses) == 2:
        losses = losses[:1]  # the total of a single term is that term
    if not losses:
        return None
    with style():
        figure, axes = panels(len(losses), 3, (3.4, 2.5))
        for i, (axis, name) in enumerate(zip(axes, losses, strict=True)):
            epochs, values = _series(records, name)
            _line(axis, epochs, values, COLOURS[i % len(COLOURS)])
            axis.set_title(name.removeprefix("loss/"), loc="left")
            if values.size and 0 < 30 * values.min() < values.max():
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter("{x:g}")
                axis.yaxis.set_minor_formatter(NullFormatter())
    return figure


def validation_curves(
    records: Sequence[Record], metrics: Sequence[MetricInfo] = ()
) -> Figure | None:
    """Draw each validation metric over the epochs and mark its best value; None without any.

    The metrics of several scales or sets, ``NAME/x2`` or ``NAME/set5``, are in the panel of
    ``NAME``, which is their mean, or the metric of the set that selects the best checkpoint.
    """
    keys = [name for name in _keys(records) if name not in NOT_METRICS]
    names = [name for name in keys if not any(name.startswith(f"{each}/") for each in keys)]
    known = {metric.name: metric for metric in metrics}
    if not names:
        return None
    with style():
        figure, axes = panels(len(names), 3, (3.4, 2.5))
        for axis, name in zip(axes, names, strict=True):
            epochs, values = _series(records, name)
            _line(axis, epochs, values, COLOURS[0])
            parts = [key.removeprefix(f"{name}/") for key in keys if key.startswith(f"{name}/")]
            axis.set_title(_title(name, parts), loc="left")
            if parts:
                _draw_parts(axis, records, name, parts)
            if name in known:
                axis.set_ylabel(known[name].unit)
                _mark_best(axis, epochs, values, known[name])
    return figure


def _title(name: str, parts: Sequence[str]) -> str:
    if not parts:
        return name
    scales = all(re.fullmatch(r"x\d+", part) for part in parts)
    return f"{name}, mean and each scale" if scales else f"{name}, and on each set"


def _draw_parts(axis: Axes, records: Sequence[Record], name: str, parts: Sequence[str]) -> None:
    """Draw a curve for each scale or set, with its name at the end."""
    for part, colour in zip(parts, cycle(COLOURS[1:]), strict=False):
        epochs, values = _series(records, f"{name}/{part}")
        _line(axis, epochs, values, colour)
        if values.size:
            end = (float(epochs[-1]), float(values[-1]))
            axis.annotate(part, end, (7, -3), textcoords="offset points", color=colour)
    axis.margins(x=0.15)


def _keys(records: Sequence[Record]) -> list[str]:
    """Return the keys in the order of their first appearance."""
    return list(dict.fromkeys(key for record in records for key in record))


def _series(records: Sequence[Record], name: str) -> tuple[Floats, Floats]:
    points = [(record["epoch"], float(record[name])) for record in records if name in record]
    kept = [point for point in points if math.isfinite(point[1])]
    epochs, values = np.array(kept, dtype=np.float64).reshape(-1, 2).T
    return epochs, values


def _line(axis: Axes, epochs: Floats, values: Floats, colour: str) -> None:
    dense = len(values) > DENSE
    axis.plot(
        epochs,
        values,
        color=colour,
        alpha=0.25 if dense else 1.0,
        marker="" if dense else "o",
        markersize=3,
        linewidth=1.0,
    )
    if dense:
        window = len(values) // 20
        mean = np.convolve(values, np.full(window, 1 / window), mode="valid")
        axis.plot(epochs[window - 1 :], mean, color=colour, linewidth=1.6)
    axis.set_xlabel("epoch")


def _mark_best(axis: Axes, epochs: Floats, values: Floats, metric: MetricInfo) -> None:
    if not values.size:
        return
    ranked = -np.abs(values) if metric.signed else values
    higher = metric.higher_is_better or metric.signed
    best = int(np.argmax(ranked) if higher else np.argmin(ranked))
    axis.axvline(float(epochs[best]), color=GREY, linewidth=0.8, linestyle=":")
    axis.plot(epochs[best], values[best], marker="*", markersize=11, color=WORSE, linestyle="none")
    axis.set_xlabel(f"epoch  (★ best {values[best]:.4g} at {epochs[best]:.3g})")
