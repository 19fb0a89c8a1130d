"""A comparison at equal bytes as tables, curves and one self-contained page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from srkit.report.metric_info import MetricInfo
from srkit.report.pages import Picture, render_page
from srkit.report.plotting import DPI, png
from srkit.report.tables import (
    Column,
    csv_text,
    format_value,
    heading,
    print_columns,
    printed_heading,
    strict,
)
from srkit.studies.compression.bjontegaard import Delta, RateCurve, delta_quality, delta_rate
from srkit.studies.compression.figures import CAPTION, curves_figure
from srkit.studies.compression.measure import HR, Compression, Point
from srkit.system.files import write_file


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model's Bjontegaard deltas against compressed HR, in one format and one metric.

    Parameters
    ----------
    format, model
        Which curve.
    metric
        What was measured.
    quality
        Mean difference of the metric at equal bytes.
    rate
        Mean difference of the bytes at an equal metric, in percent.
    """

    format: str
    model: str
    metric: MetricInfo
    quality: Delta
    rate: Delta


def comparisons(found: Compression) -> list[Comparison]:
    """Compare every model's curve with that of compressed HR of the same format."""
    curves = found.curves()

    def curve(key: tuple[str, str], metric: str) -> RateCurve:
        return RateCurve([p.size for p in curves[key]], [p.values[metric] for p in curves[key]])

    return [
        Comparison(
            form,
            model,
            info,
            delta_quality(curve((form, HR), info.name), curve((form, model), info.name)),
            delta_rate(curve((form, HR), info.name), curve((form, model), info.name)),
        )
        for form, model in curves
        if model != HR
        for info in found.metrics
    ]


def write_compression(found: Compression, folder: Path) -> Path:
    """Write what was found.

    Parameters
    ----------
    found
        The comparison.
    folder
        Gets ``curves.csv`` (means), ``deltas.csv``, ``compression.json`` (both, with protocols
        and notes), ``per_image.csv``, ``curves.png``, and ``compression.html``, which holds all.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    points, deltas = [_numbers(found, p) for p in found.points()], comparisons(found)
    write_file(folder / "curves.csv", csv_text(points[0], (row.values() for row in points)))
    told = [_told(one) for one in deltas]
    write_file(folder / "deltas.csv", csv_text(told[0], (row.values() for row in told)))
    write_file(folder / "per_image.csv", _per_image(found))
    summary = {
        "title": found.title,
        "images": len(found.rows),
        "metrics": {
            info.name: {
                "unit": info.unit,
                "higher_is_better": info.higher_is_better,
                "protocol": info.protocol,
            }
            for info in found.metrics
        },
        "points": [_strict(row) for row in points],
        "deltas": [_strict(row) for row in told],
        "notes": notes(found),
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(folder / "compression.json", text + "\n")
    path = write_file(folder / "curves.png", png(curves_figure(found), DPI))
    page = render_page(
        "compression.html",
        package="srkit.studies.compression",
        found=found,
        headings=[heading(metric) for metric in found.metrics],
        deltas=[_cells(found, one) for one in _grouped(deltas)],
        points=[_row(found, point) for point in found.points()],
        lines=notes(found),
        pictures=[Picture(path, "Curves", CAPTION)],
    )
    return write_file(folder / "compression.html", page)


def print_compression(found: Compression, console: Console) -> None:
    """Print the means, the deltas and the notes."""
    points = found.points()
    names = Column("LR's file, model", [Text(_name(point)) for point in points])
    sizes = Column("bytes", [Text(f"{p.size:.0f}" if p.size else "") for p in points])
    metrics = [
        Column(
            printed_heading(info), [Text(format_value(info, p.values[info.name])) for p in points]
        )
        for info in found.metrics
    ]
    print_columns(found.title, names, [sizes, *metrics], console)
    console.print()
    groups = _grouped(comparisons(found))
    columns = []
    for place, info in enumerate(found.metrics):
        cells = [_cells(found, group)["cells"][place] for group in groups]
        columns.append(Column(f"Δ {printed_heading(info)}", [Text(c["quality"]) for c in cells]))
        columns.append(Column("Δ bytes", [Text(c["rate"]) for c in cells]))
    names = Column("format, model", [Text(f"{g[0].format} {g[0].model}") for g in groups])
    print_columns("against HR of as many bytes", names, columns, console)
    for line in notes(found):
        console.print(line, highlight=False, markup=False)


def notes(found: Compression) -> list[str]:
    """Say where equal bytes were not to be had, and what the formats lacked."""
    lines = [*found.notes, *_floors(found)]
    lines += _missing(comparisons(found))
    lines.append(
        "Deltas are Bjontegaard's, by Akima's interpolation over the logarithm of the bytes, "
        "against HR compressed in the same format."
    )
    return lines


def _floors(found: Compression) -> list[str]:
    """Say for each format at which qualities of LR there is no HR of as few bytes."""
    floors: dict[str, list[str]] = {}
    for point in found.points():
        if point.reached < 1:
            short = round((1 - point.reached) * len(found.rows))
            floors.setdefault(point.arm.format, []).append(f"{point.arm.quality} ({short})")
    return [
        f"{name}: HR is larger than LR's file even at quality 1, which was taken, at LR's quality "
        f"(of so many of {len(found.rows)} pictures) {', '.join(qualities)}; raise "
        "evaluation.compression.qualities"
        for name, qualities in floors.items()
    ]


def _missing(deltas: Sequence[Comparison]) -> list[str]:
    """Say which deltas there are not, and why: a line for each reason and group of curves."""
    curves: dict[tuple[str, str], list[str]] = {}
    for one in deltas:
        name = one.metric.name
        for kind, delta in ((name, one.quality), (f"bytes by {name}", one.rate)):
            if delta.value is None:
                curve = f"{one.format} {one.model}"
                curves.setdefault((kind, delta.reason), []).append(curve)
    every = list(dict.fromkeys(f"{one.format} {one.model}" for one in deltas))
    kinds: dict[tuple[str, str], list[str]] = {}
    for (kind, reason), named in curves.items():
        where = "every curve" if named == every else ", ".join(named)
        kinds.setdefault((where, reason), []).append(kind)
    return [
        f"no delta of {', '.join(told)} for {where}: {reason}"
        for (where, reason), told in kinds.items()
    ]


def _name(point: Point) -> str:
    arm = point.arm
    larger = ", larger" if point.reached < 1 else ""
    return f"{arm.format} {arm.quality}: {arm.model}{larger}" if arm.format else arm.model


def _numbers(found: Compression, point: Point) -> dict[str, Any]:
    pixels = sum(row["pixels"] for row in found.rows) / len(found.rows)
    return {
        "format": point.arm.format,
        "quality": point.arm.quality or "",
        "model": point.arm.model,
        "bytes": point.size or "",
        "bits_per_hr_pixel": 8 * point.size / pixels if point.size else "",
        "reached": point.reached,
        **point.values,
    }


def _told(one: Comparison) -> dict[str, Any]:
    return {
        "format": one.format,
        "model": one.model,
        "metric": one.metric.name,
        "quality_delta": math.nan if one.quality.value is None else one.quality.value,
        "quality_overlap": one.quality.overlap,
        "quality_reason": one.quality.reason,
        "rate_delta_percent": math.nan if one.rate.value is None else one.rate.value,
        "rate_overlap": one.rate.overlap,
        "rate_reason": one.rate.reason,
    }


def _strict(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: strict(value) if isinstance(value, float) else value for key, value in row.items()}


def _per_image(found: Compression) -> str:
    names = [info.name for info in found.metrics]
    header = ["image", "format", "quality", "model", "bytes", "reached", *names]

    def rows() -> Iterator[list[Any]]:
        for row in found.rows:
            for arm in found.arms:
                key = str(arm)
                told = [row["sizes"].get(key, ""), row["reached"].get(key, "")]
                values = [row["values"][key][name] for name in names]
                yield [row["name"], arm.format, arm.quality or "", arm.model, *told, *values]

    return csv_text(header, rows())


def _grouped(deltas: Sequence[Comparison]) -> list[list[Comparison]]:
    """Put the metrics of a format and model beside each other."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in deltas:
        groups.setdefault((one.format, one.model), []).append(one)
    return list(groups.values())


def _cells(found: Compression, group: Sequence[Comparison]) -> dict[str, Any]:
    """Write a model's deltas: of each metric at equal bytes, and of the bytes at equal metric."""
    cells = []
    for one in group:
        quality, rate = one.quality.value, one.rate.value
        sign = "+" if quality is not None and quality > 0 else ""
        cells.append(
            {
                "quality": "–" if quality is None else sign + format_value(one.metric, quality),
                "rate": "–" if rate is None else f"{rate:+.1f} %",
            }
        )
    return {"format": group[0].format, "model": group[0].model, "cells": cells}


def _row(found: Compression, point: Point) -> dict[str, Any]:
    return {
        "name": _name(point),
        "bytes": f"{point.size:.0f}" if point.size else "",
        "cells": [format_value(info, point.values[info.name]) for info in found.metrics],
    }
