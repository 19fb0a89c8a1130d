"""The report of a compression study: tables, curves, and one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from srkit.report._tables import Column, format_value, heading, print_columns
from srkit.report.writer import ReportWriter
from srkit.studies.compression.figures import CAPTION, curves_figure
from srkit.studies.compression.results import HR, Compression, ModelDelta, Point


def write_compression(found: Compression, folder: Path) -> Path:
    """Write the report of a compression study.

    Parameters
    ----------
    found
        The results.
    folder
        Output folder of ``curves.csv`` (means), ``deltas.csv``, ``compression.json`` (both, with
        protocols and notes), ``per_image.csv``, ``curves.png``, and ``compression.html``, which
        contains everything.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    writer, lines = ReportWriter(folder), notes(found)
    points = [_point_row(found, point) for point in found.points()]
    deltas = [_delta_row(delta) for delta in found.deltas()]
    writer.csv("curves.csv", points[0], (row.values() for row in points))
    writer.csv("deltas.csv", deltas[0], (row.values() for row in deltas))
    names = [info.name for info in found.metrics]
    header = ["image", "format", "quality", "model", "bytes", "reached", *names]
    writer.csv("per_image.csv", header, _image_rows(found))
    summary = {
        "title": found.title,
        "images": len(found.images),
        "metrics": {info.name: info.properties() for info in found.metrics},
        "points": points,
        "deltas": deltas,
        "notes": lines,
    }
    writer.json("compression.json", summary)
    writer.figure("curves.png", curves_figure(found), "Curves", CAPTION)
    return writer.page(
        "compression.html",
        "compression.html",
        package="srkit.studies.compression",
        found=found,
        headings=[heading(metric) for metric in found.metrics],
        models=_by_model(found),
        point_name=_point_name,
        quality_text=_quality_text,
        rate_text=_rate_text,
        format_value=format_value,
        lines=lines,
    )


def print_compression(found: Compression, console: Console) -> None:
    """Print the means, the deltas and the notes."""
    points, models = found.points(), _by_model(found)
    names = Column("LR file, model", [_point_name(point) for point in points])
    columns = [Column("bytes", [f"{p.size:.0f}" if p.size else "" for p in points])]
    for info in found.metrics:
        values = [format_value(info, point.values[info.name]) for point in points]
        columns.append(Column(heading(info), values))
    print_columns(found.title, names, columns, console)
    console.print()
    names = Column("format, model", [f"{row[0].format} {row[0].model}" for row in models])
    columns = []
    for place, info in enumerate(found.metrics):
        quality = [_quality_text(row[place]) for row in models]
        columns.append(Column(f"Δ {heading(info)}", quality))
        columns.append(Column("Δ bytes", [_rate_text(row[place]) for row in models]))
    print_columns("compared with HR of equal file size", names, columns, console)
    for line in notes(found):
        console.print(line, highlight=False, markup=False)


def notes(found: Compression) -> list[str]:
    """Return notes on the formats, on sizes that HR cannot reach, and on missing deltas."""
    deltas = (
        "Deltas are Bjontegaard deltas, by Akima interpolation over the logarithm of the size, "
        "against HR compressed in the same format."
    )
    return [*found.notes, *_unreached(found), *_missing(found.deltas()), deltas]


def _unreached(found: Compression) -> list[str]:
    """Return a line for each format in which HR cannot always be compressed to the size of LR."""
    qualities: dict[str, list[str]] = {}
    for point in found.points():
        if point.reached < 1:
            count = round((1 - point.reached) * len(found.images))
            text = f"{point.setting.quality} ({count} of {len(found.images)} images)"
            qualities.setdefault(point.setting.format, []).append(text)
    return [
        f"{name}: at LR quality {', '.join(texts)} HR exceeds the LR file size even at quality 1; "
        "those points use quality 1. Raise evaluation.compression.qualities to avoid this."
        for name, texts in qualities.items()
    ]


def _missing(deltas: Sequence[ModelDelta]) -> list[str]:
    """Return a line for each kind of delta and each reason why it is undefined."""
    curves: dict[tuple[str, str], list[str]] = {}
    for one in deltas:
        name = one.metric.name
        for kind, delta in ((name, one.quality), (f"bytes by {name}", one.rate)):
            if delta.reason:
                curve = f"{one.format} {one.model}"
                curves.setdefault((kind, delta.reason), []).append(curve)
    count = len({(one.format, one.model) for one in deltas})
    return [
        f"no delta of {kind} for {'all curves' if len(names) == count else ', '.join(names)}: "
        f"{reason}"
        for (kind, reason), names in curves.items()
    ]


def _point_name(point: Point) -> str:
    setting = point.setting
    larger = ", larger" if point.reached < 1 else ""
    if not setting.format:
        return setting.model
    return f"{setting.format} {setting.quality}: {setting.model}{larger}"


def _by_model(found: Compression) -> list[list[ModelDelta]]:
    """Group the deltas of all metrics by format and model."""
    groups = groupby(found.deltas(), key=lambda delta: (delta.format, delta.model))
    return [list(group) for _, group in groups]


def _quality_text(delta: ModelDelta) -> str:
    sign = "+" if delta.quality.value > 0 else ""
    return sign + format_value(delta.metric, delta.quality.value)


def _rate_text(delta: ModelDelta) -> str:
    return "–" if delta.rate.reason else f"{delta.rate.value:+.1f} %"


def _point_row(found: Compression, point: Point) -> dict[str, Any]:
    pixels = sum(image["pixels"] for image in found.images) / len(found.images)
    return {
        "format": point.setting.format,
        "quality": point.setting.quality or "",
        "model": point.setting.model,
        "bytes": point.size or "",
        "bits_per_hr_pixel": 8 * point.size / pixels if point.size else "",
        "reached": point.reached,
        **point.values,
    }


def _delta_row(one: ModelDelta) -> dict[str, Any]:
    return {
        "format": one.format,
        "model": one.model,
        "metric": one.metric.name,
        "quality_delta": one.quality.value,
        "quality_overlap": one.quality.overlap,
        "quality_reason": one.quality.reason,
        "rate_delta_percent": one.rate.value,
        "rate_overlap": one.rate.overlap,
        "rate_reason": one.rate.reason,
    }


def _image_rows(found: Compression) -> Iterator[list[Any]]:
    for image in found.images:
        for setting in found.settings:
            measured = image["settings"][str(setting)]
            yield [
                image["name"],
                setting.format,
                setting.quality or "",
                setting.model,
                measured["bytes"] or "",
                measured["reached"] if setting.model == HR else "",
                *(measured["values"][info.name] for info in found.metrics),
            ]
