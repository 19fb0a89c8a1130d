"""The figures of a validation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srkit.report import GREY, colours, panels, style
from srkit_astro.validation.noise import COLOURS, THRESHOLDS
from srkit_astro.validation.plan import SINGLE
from srkit_astro.validation.results import BIN, Results, Row
from srkit_astro.validation.sources import Floats

#: Sources from which on a scatter is drawn.
FEWEST = 5
#: Share of the detections that the axis of magnitudes shows; the flux of the others is nearly 0.
SHOWN = 0.97
PLURALS = {"point": "points", "galaxy": "galaxies", "arc": "arcs"}


def _palette(results: Results) -> dict[str, str]:
    others = colours(list(results.methods[1:]))
    return {results.methods[0]: GREY, **others}


def _legend(figure: Figure, results: Results) -> None:
    """Name the methods below the axes, also those that have no points, in columns that fit."""
    palette = _palette(results)
    lines = [Line2D([], [], color=colour, label=name) for name, colour in palette.items()]
    width = 0.6 + 0.08 * max(map(len, palette))  # inches
    columns = min(len(lines), max(1, int(figure.get_figwidth() / width)))
    figure.legend(handles=lines, loc="outside lower center", ncols=columns)


def _fractions(axis: Axes, rows: Sequence[Row], key: str, results: Results) -> None:
    """Draw fractions with their intervals, slightly apart so that no bar hides another."""
    for place, (method, colour) in enumerate(_palette(results).items()):
        own = [row for row in rows if row["method"] == method and row["sources"]]
        x, y, low, high = (
            np.array([row[k] for row in own]) for k in (key, "fraction", "low", "high")
        )
        shift = 1 + 0.015 * place if key == "snr" else 1
        axis.errorbar(
            x * shift + (0 if key == "snr" else 0.012 * place), y, np.abs([y - low, high - y]),
            fmt="o-", markersize=3, color=colour, label=method, linewidth=1.3, elinewidth=0.8,
        )  # fmt: skip
    axis.set_ylim(-0.03, 1.03)


def completeness_figure(results: Results) -> Figure:
    """Draw the completeness of each kind against S/N."""
    rows = results.completeness()
    with style():
        figure, axes = panels(len(SINGLE), len(SINGLE), (3.2, 2.9))
        for axis, kind in zip(axes, SINGLE, strict=True):
            _fractions(axis, [row for row in rows if row["kind"] == kind], "snr", results)
            _snr_axis(axis, results)
            axis.set_title(PLURALS[kind])
        axes[0].set_ylabel("completeness")
        _legend(figure, results)
    return figure


def _snr_axis(axis: Axes, results: Results) -> None:
    snrs = results.settings.snrs
    axis.set_xscale("log")
    axis.set_xticks(snrs, [f"{snr:g}" for snr in snrs])
    axis.minorticks_off()
    axis.set_xlabel("S/N of the source in LR")


def biases_figure(results: Results) -> Figure:
    """Draw flux bias of each kind, centroid scatter and ellipticity bias against S/N."""
    drawn = [("flux", kind) for kind in SINGLE] + [
        ("dx", "point"),
        ("dx", "galaxy"),
        ("m", "galaxy"),
    ]
    rows = results.biases()
    with style():
        figure, axes = panels(len(drawn), 3, (3.2, 2.6))
        for axis, (error, kind) in zip(axes, drawn, strict=True):
            centroid = error == "dx"
            for place, (method, colour) in enumerate(_palette(results).items()):
                own = [r for r in rows if _is(r, method, kind, error) and r["sources"] >= FEWEST]
                x = np.array([r["snr"] for r in own]) * (1 + 0.015 * place)
                if centroid:
                    y, bar = np.array([r["scatter"] for r in own]), None
                else:
                    y, bar = (np.array([r[k] for r in own]) for k in ("mean", "standard_error"))
                axis.errorbar(x, y, bar, fmt="o-", markersize=3, color=colour, label=method,
                              linewidth=1.3, elinewidth=0.8)  # fmt: skip
            if not centroid:
                axis.axhline(0, color=GREY, linewidth=0.8)
            _snr_axis(axis, results)
            name = {
                "flux": "flux bias",
                "dx": "centroid scatter [LR pixel]",
                "m": "ellipticity bias",
            }
            axis.set(title=PLURALS[kind], ylabel=name[error])
        _legend(figure, results)
    return figure


def _is(row: Row, method: str, kind: str, error: str) -> bool:
    numeric = isinstance(row["snr"], float | int)
    return numeric and (row["method"], row["kind"], row["error"]) == (method, kind, error)


def pairs_figure(results: Results) -> Figure:
    """Draw the fraction of pairs that are found as two against their separation."""
    with style():
        figure, axes = panels(1, 1, (6.4, 3.6))
        _fractions(axes[0], results.pairs(), "separation", results)
        axes[0].set(xlabel="separation [FWHM of the PSF]", ylabel="found as two sources")
        _legend(figure, results)
    return figure


def false_figure(results: Results) -> Figure:
    """Draw false sources per area against magnitude: beside injected ones, and in pure noise."""
    rows = results.false_sources()
    chosen = [("injection", results.settings.threshold)]
    chosen += [(colour, THRESHOLDS[0]) for colour in COLOURS]
    titles = {
        "injection": "beside injected sources",
        "white": "white noise",
        "correlated": "noise of the frame",
    }
    with style():
        figure, axes = panels(len(chosen), len(chosen), (3.2, 2.9))
        for axis, (origin, threshold) in zip(axes, chosen, strict=True):
            for place, (method, colour) in enumerate(_palette(results).items()):
                own = [r for r in rows if _at(r, method, origin, threshold)]
                x, y, low, high = (
                    np.array([r[k] for r in own]) for k in ("bright", "per_area", "low", "high")
                )
                middle = x + BIN / 2
                axis.step(middle, y, where="mid", color=colour, linewidth=1.3)
                some = y > 0
                bars = np.abs([y - low, high - y])[:, some]
                apart = middle[some] + 0.02 * (place - 2)
                axis.errorbar(apart, y[some], bars, fmt="none", ecolor=colour, elinewidth=0.6)
            chosen_rows = [r for r in rows if (r["origin"], r["threshold"]) == (origin, threshold)]
            if chosen_rows:
                axis.set_xlim(*_ends(chosen_rows))
            axis.set_title(f"{titles[origin]}, {threshold:g} σ")
            axis.set_xlabel(
                "magnitude" if results.zero_point is not None else "instrumental magnitude"
            )
        axes[0].set_ylabel(f"per {results.area_unit} and bin")
        _legend(figure, results)
    return figure


def _ends(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the magnitudes between which most detections are."""
    ranked = sorted(rows, key=lambda row: row["bright"])
    counts = np.cumsum([row["count"] for row in ranked])
    last = int(np.searchsorted(counts, SHOWN * counts[-1]))
    return ranked[0]["bright"] - BIN, ranked[min(last, len(ranked) - 1)]["faint"] + BIN


def _at(row: Row, method: str, origin: str, threshold: float) -> bool:
    return (row["method"], row["origin"], row["threshold"]) == (method, origin, threshold)


def examples_figure(views: dict[str, tuple[Floats, Floats, Floats]], side: int) -> Figure:
    """Draw a window with injected sources as each method shows it.

    Parameters
    ----------
    views
        For each method: the image, the injected positions and the false ones, in its pixels.
    side
        Side of the window in LR pixels.
    """
    with style():
        figure, axes = panels(len(views), 4, (3.4, 3.6))
        for axis, (name, (image, true, false)) in zip(axes, views.items(), strict=True):
            low, high = np.percentile(image, (25, 75))
            unit = max(high - low, 1e-30)
            axis.imshow(np.arcsinh((image - low) / unit), cmap="gray_r", origin="lower",
                        vmin=-1.2, vmax=4.5, interpolation="nearest")  # fmt: skip
            scale = len(image) / side
            for places, colour in ((true, "#0072B2"), (false, "#D55E00")):
                axis.scatter(places[:, 0], places[:, 1], s=math.pi * 60, facecolors="none",
                             edgecolors=colour, linewidths=0.9)  # fmt: skip
            axis.set(title=f"{name}, x{scale:g}", xticks=[], yticks=[])
            axis.grid(visible=False)
    return figure
