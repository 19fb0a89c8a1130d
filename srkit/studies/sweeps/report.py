"""The tables of a sweep, and one self-contained page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from srkit.report.metric_info import MetricInfo
from srkit.report.pages import Picture, render_page
from srkit.report.plotting import DPI, png
from srkit.report.tables import (
    NAMED,
    Column,
    csv_text,
    format_value,
    heading,
    print_columns,
    strict,
)
from srkit.studies.sweeps.figures import search_figure, variants_figure
from srkit.studies.sweeps.results import Outcome, Row, Sweep, tables_of
from srkit.system.files import write_file


def write_sweep(found: Sweep, folder: Path) -> Path:
    """Write what a sweep found.

    Parameters
    ----------
    found
        The results.
    folder
        Gets ``table.csv`` (mean and standard deviation of each variant), ``runs.csv`` (each run),
        ``table.json`` (both), ``variants.png``, in a search ``search.png``, and ``report.html``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    write_file(folder / "table.csv", _table_csv(found))
    write_file(folder / "runs.csv", _runs_csv(found))
    summary = json.dumps(_summary(found, folder), indent=2, ensure_ascii=False, allow_nan=False)
    write_file(folder / "table.json", summary + "\n")
    pictures = list(_pictures(found, folder))
    page = render_page(
        "sweep.html",
        package="srkit.studies.sweeps",
        found=found,
        headings=[heading(metric) for metric in found.metrics],
        rows=[_html_row(found, row) for row in found.rows()],
        references=[_html_row(found, row) for row in found.references()],
        runs=[_html_run(found, outcome, folder) for outcome in found.ranked()],
        objective="" if found.objective is None else f"{heading(found.objective)} (validation)",
        best=best_line(found),
        scatter=scatter_line(found),
        pictures=pictures,
    )
    return write_file(folder / "report.html", page)


def print_sweep(found: Sweep, console: Console) -> None:
    """Print one row a variant, the best of each metric in bold, and what has no numbers.

    Of a search the best trials, by their value on the validation images.
    """
    names, columns = _variants(found) if found.objective is None else _trials(found)
    print_columns(found.title, names, columns, console)
    for line in (scatter_line(found), best_line(found)):
        if line:
            console.print(Text(line), soft_wrap=True)
    for outcome in found.missing():
        console.print(Text(f"{outcome.variant.name}: {outcome.reason}"), soft_wrap=True)


def _variants(found: Sweep) -> tuple[Column, list[Column]]:
    rows, references = found.rows(), found.references()
    names = Column("variant", [Text(row.name) for row in rows])
    names.cells.extend(Text(row.name, style="dim") for row in references)
    columns = []
    for metric in found.metrics:
        best = found.best(metric)
        cells = [Text(cell(metric, row), style="bold" if row.name in best else "") for row in rows]
        cells += [Text(cell(metric, row), style="dim") for row in references]
        columns.append(Column(heading(metric), cells))
    if found.repeat:
        counts = [_count(row) for row in rows] + [""] * len(references)
        columns.append(Column(f"{found.repeat}s", [Text(count) for count in counts]))
    return names, columns


def _trials(found: Sweep) -> tuple[Column, list[Column]]:
    objective, trials = found.objective, found.ranked()[:NAMED]
    assert objective is not None
    columns = [
        Column(
            key.rpartition(".")[2].replace("_", " "),
            [Text(_value_text(trial.variant.changes[key])) for trial in trials],
        )
        for key in (trials[0].variant.changes if trials else ())
    ]
    validated = [Text(format_value(objective, trial.validated)) for trial in trials]
    columns.append(Column(f"validation {heading(objective)}", validated))
    for metric in found.metrics:
        means = [trial.means.get(metric.name, math.nan) for trial in trials]
        cells = [Text(format_value(metric, mean)) for mean in means]
        columns.append(Column(heading(metric), cells))
    return Column("trial", [Text(trial.variant.name) for trial in trials]), columns


def cell(metric: MetricInfo, row: Row) -> str:
    """Write a metric's mean, and its standard deviation where there are several runs."""
    text = format_value(metric, row.mean(metric.name))
    deviation = row.deviation(metric.name)
    return text if math.isnan(deviation) else f"{text} ± {format_value(metric, deviation)}"


def scatter_line(found: Sweep) -> str:
    """Explain what stands behind the plus-minus sign."""
    if not found.repeat:
        return ""
    return f"Mean ± standard deviation over the {found.repeat}s."


def best_line(found: Sweep) -> str:
    """Say what a search found to be best."""
    best = found.best_trial()
    if best is None or found.objective is None:
        return ""
    value = format_value(found.objective, best.validated)
    return (
        f"Best on the validation images: {best.variant.name}, {found.objective.name} "
        f"{' '.join([value, found.objective.unit]).strip()}, with {_changes(best)}."
    )


def _changes(outcome: Outcome) -> str:
    return ", ".join(
        f"{key}={_value_text(value)}" for key, value in outcome.variant.changes.items()
    )


def _value_text(value: Any) -> str:
    """Write a value as a recipe has it, a number with four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")


def _count(row: Row) -> str:
    done = len(row.runs)
    return str(done) if done == row.planned else f"{done} of {row.planned}"


def _table_csv(found: Sweep) -> str:
    names = [metric.name for metric in found.metrics]
    header = ["variant", "runs", *(f"{name}{end}" for name in names for end in ("", "/sd"))]
    return csv_text(
        header,
        (
            [row.name, len(row.runs)]
            + [number for name in names for number in (row.mean(name), row.deviation(name))]
            for row in [*found.rows(), *found.references()]
        ),
    )


def _runs_csv(found: Sweep) -> str:
    axes = list(dict.fromkeys(axis for o in found.outcomes for axis in o.variant.choices))
    names = [metric.name for metric in found.metrics]
    validation = [] if found.objective is None else [f"validation/{found.objective.name}"]
    return csv_text(
        ["run", "variant", *axes, *names, *validation, "failure"],
        (
            [outcome.variant.name, outcome.variant.group]
            + [outcome.variant.choices.get(axis, "") for axis in axes]
            + [outcome.means.get(name, math.nan) for name in names]
            + ([outcome.validated] if validation else [])
            + [outcome.reason]
            for outcome in found.outcomes
        ),
    )


def _summary(found: Sweep, folder: Path) -> dict[str, Any]:
    best = found.best_trial()
    return {
        "title": found.title,
        "repeat": found.repeat,
        "objective": None if found.objective is None else found.objective.name,
        "best_trial": None if best is None else best.variant.name,
        "metrics": {
            metric.name: {
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
                "signed": metric.signed,
                "protocol": metric.protocol,
                "best": sorted(found.best(metric)),
            }
            for metric in found.metrics
        },
        "variants": [_row_summary(found, row) for row in found.rows()],
        "references": [_row_summary(found, row) for row in found.references()],
        "runs": [_run_summary(outcome, folder) for outcome in found.outcomes],
    }


def _row_summary(found: Sweep, row: Row) -> dict[str, Any]:
    names = [metric.name for metric in found.metrics]
    return {
        "name": row.name,
        "runs": len(row.runs),
        "mean": {name: strict(row.mean(name)) for name in names},
        "standard_deviation": {name: strict(row.deviation(name)) for name in names},
    }


def _run_summary(outcome: Outcome, folder: Path) -> dict[str, Any]:
    return {
        "name": outcome.variant.name,
        "variant": outcome.variant.group,
        "choices": dict(outcome.variant.choices),
        "changes": dict(outcome.variant.changes),
        "mean": {name: strict(value) for name, value in outcome.means.items()},
        "validation": strict(outcome.validated),
        "failure": outcome.reason or None,
        "folder": str(outcome.run.relative_to(folder)),
    }


def _html_row(found: Sweep, row: Row) -> dict[str, Any]:
    cells = []
    for metric in found.metrics:
        deviation = row.deviation(metric.name)
        cells.append(
            {
                "text": format_value(metric, row.mean(metric.name)),
                "error": "" if math.isnan(deviation) else f"± {format_value(metric, deviation)}",
                "best": bool(row.standings) and row.name in found.best(metric),
            }
        )
    return {"name": row.name, "cells": cells, "count": _count(row)}


def _html_run(found: Sweep, outcome: Outcome, folder: Path) -> dict[str, Any]:
    nan = math.nan
    return {
        "name": outcome.variant.name,
        "changes": _changes(outcome) or "the recipe as it is",
        "cells": [
            format_value(metric, outcome.means.get(metric.name, nan)) for metric in found.metrics
        ],
        "validated": ""
        if found.objective is None
        else format_value(found.objective, outcome.validated),
        "reason": outcome.reason,
        "report": _report_of(outcome, folder),
    }


def _report_of(outcome: Outcome, folder: Path) -> str:
    """Name the page of a run, of the first scale where there are several."""
    alone = outcome.run / "evaluation" / "table.json"
    first = next(iter(tables_of(outcome.run).values()), alone)
    return first.with_name("report.html").relative_to(folder).as_posix()


def _pictures(found: Sweep, folder: Path) -> Iterator[Picture]:
    if not any(outcome.means for outcome in found.outcomes):
        return
    if found.objective is not None and found.best_trial() is not None:
        yield Picture(
            write_file(folder / "search.png", png(search_figure(found), DPI)),
            "The search",
            "The value on the validation images against each number that was searched; star: the "
            "best. A brighter point is a later trial; hollow: far worse, drawn at the edge.",
        )
        return
    caption = "Mean over the test images. Dots: single runs"
    if found.repeat:
        caption = (
            f"{caption}; bar: their mean, whisker: standard deviation over the {found.repeat}s"
        )
    lines = "; dashed: what was measured beside them" if found.references() else ""
    yield Picture(
        write_file(folder / "variants.png", png(variants_figure(found), DPI)),
        "Variants",
        f"{caption}{lines}. The best is orange.",
    )
