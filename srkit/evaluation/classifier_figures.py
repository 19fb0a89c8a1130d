"""Figures of a trained classifier: what it takes for what, and its ROC curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srkit.evaluation.classification import MICRO, Classification, Roc
from srkit.report.plotting import COLOURS, GREY, shorten, style
from srkit.report.tables import NAMED

NAME_WIDTH = 20


def confusion_figure(found: Classification) -> Figure:
    """Draw the share of each true class (row) that is predicted as each class (column).

    Cells have the share and the number of images, unless there are too many classes to name.
    """
    counts = found.confusion()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    named = len(found.classes) <= NAMED
    side = 2.4 + 0.75 * len(found.classes) if named else 7.0
    with style():
        figure = Figure(figsize=(side + 0.9, side), layout="constrained")
        axis = figure.add_subplot()
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
        axis.grid(visible=False)
        axis.set(xlabel="predicted class", ylabel="true class")
        if named:
            names = [shorten(name, NAME_WIDTH) for name in found.classes]
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


def roc_figure(found: Classification) -> Figure:
    """Draw the ROC of each class against the others, and their micro-average.

    Of many classes those of smallest AUC are drawn.
    """
    curves = found.curves()
    hardest = sorted(sorted(curves, key=lambda k: curves[k].auc)[:NAMED])
    with style():
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        axis = figure.add_subplot()
        for i, k in enumerate(hardest):
            _curve(axis, found.classes[k], curves[k], color=COLOURS[i % len(COLOURS)])
        _curve(axis, MICRO, found.micro_average(), color="black", linestyle="--")
        axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        # A little room, so that a curve along the edge is seen whole.
        axis.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
        axis.set(xlabel="false positive rate", ylabel="true positive rate")
        figure.legend(loc="outside right center")
    return figure


def _curve(axis: Axes, name: str, roc: Roc, **line: Any) -> None:
    label = f"{shorten(name, NAME_WIDTH)}, AUC {roc.auc:.4f}"
    axis.plot(roc.false_positive_rate, roc.true_positive_rate, label=label, **line)
