"""The report of a validation: tables, figures, and one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from srkit.report import Column, ReportWriter, print_columns
from srkit_astro.validation.definitions import definitions
from srkit_astro.validation.figures import (
    biases_figure,
    completeness_figure,
    examples_figure,
    false_figure,
    pairs_figure,
)
from srkit_astro.validation.noise import THRESHOLDS
from srkit_astro.validation.plan import PAIR_SNR, SEPARATIONS
from srkit_astro.validation.results import BRIGHT, Results, Row
from srkit_astro.validation.sources import Floats

#: The page, and the file whose ``summary`` reports and model cards of the run include.
PAGE, RESULTS = "validation.html", "validation.json"


def write_validation(
    results: Results, views: Mapping[str, tuple[Floats, Floats, Floats]], side: int, folder: Path
) -> Path:
    """Write the tables, the figures and the page.

    Parameters
    ----------
    results
        The results.
    views, side
        The example, as for :func:`.figures.examples_figure`.
    folder
        Output folder of ``validation.html``, which contains everything, ``validation.json``,
        ``completeness.csv``, ``biases.csv``, ``pairs.csv``, ``false.csv``, ``noise.csv`` and the
        figures.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    writer = ReportWriter(folder)
    tables = {
        "completeness": results.completeness(),
        "biases": results.biases(),
        "pairs": results.pairs(),
        "false": results.false_sources(),
        "noise": results.noise(),
    }
    for name, rows in tables.items():
        header = list(rows[0]) if rows else ["method"]
        writer.csv(f"{name}.csv", header, (row.values() for row in rows))
    short = summary(results)
    writer.json(
        RESULTS,
        {
            "title": results.title,
            "facts": dict(results.facts),
            "summary": short,
            "definitions": definitions(results),
            **tables,
            "notes": list(results.notes),
        },
    )
    _write_figures(results, views, side, writer)
    return writer.page(
        PAGE,
        "validation.html",
        package="srkit_astro",
        results=results,
        summary=short,
        tables=_page_tables(results, tables),
        definitions=definitions(results),
    )


def print_validation(results: Results, console: Console) -> None:
    """Print the summary."""
    short = summary(results)
    names, *rest = zip(*short["rows"], strict=True)
    columns = [Column(name, cells) for name, cells in zip(short["columns"][1:], rest, strict=True)]
    print_columns(results.title, Column("", names), columns, console)
    for note in results.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)


def summary(results: Results) -> dict[str, Any]:
    """Return what reports and model cards show: title, caption, columns, rows of text."""
    noise = {
        r["method"]: r
        for r in results.noise()
        if (r["noise"], r["threshold"]) == ("correlated", THRESHOLDS[-1])
    }
    single = {r["method"]: r for r in results.pairs() if r["separation"] == 1.0}
    rows = []
    for name in results.methods:
        flux = results.bias(name, "point", "flux", None)
        shift = results.bias(name, "point", "dx", None)
        shape = results.bias(name, "galaxy", "m", None)
        rows.append(
            [
                name,
                number(results.half_complete(name, "point")),
                str(noise[name]["count"]),
                with_error(flux, 100),
                number(shift["scatter"]),
                with_error(shape),
                fraction(single[name]),
                number(noise[name]["correlation"]),
            ]
        )
    return {
        "title": "Injection and recovery",
        "caption": (
            f"Sources injected into {results.facts['data']}, detected at "
            f"{results.settings.threshold:g} times the noise of each image; biases are those of "
            f"sources with an S/N of {BRIGHT:g} or more, ± standard error."
        ),
        "columns": [
            "",
            "S/N of points at 50 % completeness",
            f"false sources in {_area(results)} of noise like that of LR, {THRESHOLDS[-1]:g} σ",
            "flux bias of points [%]",
            "centroid scatter of points [LR pixel]",
            "ellipticity bias of galaxies",
            "pairs found as two at 1 FWHM",
            "correlation of neighbouring noise pixels",
        ],
        "rows": rows,
    }


def number(value: float) -> str:
    """Return a number with three digits; a dash if it is undefined."""
    return "–" if math.isnan(value) else f"{value:.3g}"


def with_error(row: Row, unit: float = 1.0) -> str:
    """Return a mean and its standard error, in units of 1 / `unit`."""
    if not row["sources"]:
        return "–"
    mean = round(unit * row["mean"], 2) + 0.0  # not -0
    error = unit * row["standard_error"]
    return f"{mean:+.2f}" + ("" if math.isnan(error) else f" ± {error:.2f}")


def fraction(row: Row) -> str:
    """Return a fraction and its counts."""
    return f"{row['found']} of {row['sources']}"


def _write_figures(
    results: Results,
    views: Mapping[str, tuple[Floats, Floats, Floats]],
    side: int,
    writer: ReportWriter,
) -> None:
    writer.figure(
        "completeness.png",
        completeness_figure(results),
        "Completeness",
        "Fraction of the injected sources that are found, against their S/N in LR; bars: 68 % "
        "intervals.",
    )
    writer.figure(
        "biases.png",
        biases_figure(results),
        "Flux, position and shape",
        "Mean error of the flux that the injection adds at the true position; robust scatter of "
        "the centroid along x; mean relative error of the ellipticity, along the true one before "
        "the PSF, which rounds sources in LR: what removes the PSF is at 0. The last two are those "
        "of the sources that are found. Bars: standard errors.",
    )
    writer.figure(
        "pairs.png",
        pairs_figure(results),
        "Close pairs",
        f"Fraction of pairs of equal points, each of S/N {PAIR_SNR:g}, that are found as two. At "
        "separation 0 there is one source, and two are an error.",
    )
    writer.figure(
        "false.png",
        false_figure(results),
        "False sources",
        "Detections that are neither injected sources nor in the image without them, and "
        "detections in pure noise, against their magnitude; bars: 68 % intervals. The faintest are "
        "beyond the axis.",
    )
    writer.figure(
        "examples.png",
        examples_figure(dict(views), side),
        "An example",
        "A part of LR with injected sources (blue), and detections that the injection added and "
        "that match none of them (orange), on an asinh scale in units of the noise of each image.",
    )


def _page_tables(results: Results, tables: Mapping[str, list[Row]]) -> list[dict[str, Any]]:
    """Return the tables of the page: id, title, caption, columns and rows of text."""
    snrs = [f"S/N {snr:g}" for snr in results.settings.snrs]
    fractions = _pivot(tables["completeness"], "snr", _interval)
    pairs = _pivot(tables["pairs"], "separation", _interval)
    errors = [r for r in tables["biases"] if isinstance(r["snr"], float | int)]
    return [
        {
            "id": "noise",
            "title": "Pure noise",
            "caption": f"Detections in {_area(results)} of pure noise, all of which are false. The "
            "first threshold is that of this report, in units of the noise of the smoothed image, "
            "which includes the correlation of pixels; the second, in brackets, is the usual one, "
            "five adjacent pixels above a multiple of the scatter of single pixels. RMS is that of "
            "a pixel, in flux per area of an LR pixel; the correlation is that of neighbouring "
            "pixels; the last column is the noise of the mean of 8 × 8 pixels over that of "
            "independent pixels.",
            "columns": ["method", "noise", *(f"{t:g} σ" for t in THRESHOLDS), "RMS / RMS of LR",
                        "correlation", "8 × 8 pixels"],
            "rows": _noise_rows(tables["noise"]),
        },
        {
            "id": "completeness",
            "title": "Completeness",
            "caption": "With 68 % intervals.",
            "columns": ["kind, method", *snrs],
            "rows": fractions,
        },
        {
            "id": "pairs",
            "title": "Pairs found as two",
            "caption": "By separation in FWHM of the PSF, with 68 % intervals.",
            "columns": ["kind, method", *(f"{each:g}" for each in SEPARATIONS)],
            "rows": pairs,
        },
        {
            "id": "biases",
            "title": "Biases",
            "caption": "Mean ± standard error of the relative flux error (frame_flux: with the "
            "noise and the local sky of the frame), of the centroid shift in LR pixels, and of the "
            "relative ellipticity error along (m) and across the true one.",
            "columns": ["error, kind, method", *snrs],
            "rows": _pivot(errors, "snr", _mean, ("error", "kind", "method")),
        },
    ]  # fmt: skip


def _pivot(
    rows: list[Row], key: str, cell: Any, names: tuple[str, ...] = ("kind", "method")
) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(", ".join(row[name] for name in names), []).append(cell(row))
    return [[name, *cells] for name, cells in found.items()]


def _interval(row: Row) -> str:
    if not row["sources"]:
        return "–"
    return f"{row['fraction']:.2f} ({row['low']:.2f} – {row['high']:.2f})"


def _mean(row: Row) -> str:
    if not row["sources"]:
        return "–"
    mean, error = round(row["mean"], 3) + 0.0, row["standard_error"]
    return f"{mean:+.3f}" + ("" if math.isnan(error) else f" ± {error:.3f}")


def _area(results: Results) -> str:
    areas = {row["noise"]: row["area"] for row in results.noise()}
    return f"{next(iter(areas.values())):.3g} {results.area_unit}"


def _noise_rows(rows: list[Row]) -> list[list[str]]:
    merged: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        merged.setdefault((row["method"], row["noise"]), []).append(row)
    return [
        [
            method,
            colour,
            *(f"{each['count']} ({each['by_pixel']})" for each in group),
            f"{group[0]['rms_over_lr']:.3f}",
            f"{group[0]['correlation']:.3f}",
            f"{group[0]['block']:.2f}",
        ]
        for (method, colour), group in merged.items()
    ]
