"""The figure of how well standard deviations tell errors."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srkit.evaluation.calibration import LEVELS, REMOVED, Calibration
from srkit.report.plotting import COLOURS, GREY, panels, shorten, style

NAME_WIDTH = 28
#: Pulls beyond this are gathered in the outermost bins.
FARTHEST_PULL = 5.0


def calibration_figure(found: Mapping[str, Calibration]) -> Figure:
    """Draw coverage, pulls and sparsification of each model, by name."""
    with style():
        figure, axes = panels(3, 3, (3.9, 3.9))
        for axis, draw in zip(axes, (_coverage, _pulls, _sparsification), strict=True):
            for i, calibration in enumerate(found.values()):
                draw(axis, calibration, COLOURS[i % len(COLOURS)])
        coverage, pulls, sparsification = axes
        coverage.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        coverage.set(xlabel="nominal coverage", ylabel="share of pixels covered", aspect="equal")
        x = np.linspace(-FARTHEST_PULL, FARTHEST_PULL, 201)
        normal = [NormalDist().pdf(value) for value in x]
        pulls.plot(x, normal, color=GREY, linewidth=0.8, linestyle=":")
        pulls.set(xlabel="pull, (SR − HR) / σ", ylabel="density", yscale="log", ylim=(1e-4, 10))
        pulls.yaxis.set_major_formatter("{x:g}")
        sparsification.set(xlabel="share of pixels removed, least sure first", ylim=(0, 1.05))
        sparsification.set_ylabel("error of the rest / error of all")
        labels = [
            f"{shorten(name, NAME_WIDTH)}: pulls {one.bias:+.2f} ± {one.spread:.2f}, "
            f"calibration error {one.calibration_error:.3f}, AUSE {one.ause:.3f}"
            for name, one in found.items()
        ]
        figure.legend(coverage.lines[: len(labels)], labels, loc="outside upper center")
    return figure


def _coverage(axis: Axes, found: Calibration, colour: str) -> None:
    axis.plot([0, *LEVELS, 1], [0, *found.coverage(), 1], color=colour)


def _pulls(axis: Axes, found: Calibration, colour: str) -> None:
    pulls = found.pulls().clip(-FARTHEST_PULL, FARTHEST_PULL)
    bins = np.linspace(-FARTHEST_PULL, FARTHEST_PULL, 51).tolist()
    axis.hist(pulls, bins, density=True, histtype="step", color=colour)


def _sparsification(axis: Axes, found: Calibration, colour: str) -> None:
    axis.plot(REMOVED, found.sparsification(), color=colour)
    axis.plot(REMOVED, found.oracle(), color=colour, linewidth=0.8, linestyle="--")
