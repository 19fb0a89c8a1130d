"""The report of a sweep: tables, a figure, and one self-contained page."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from srkit.report._metric_info import MetricInfo
from srkit.report._tables import NAMED, Column, format_value, heading, print_columns, short_number
from srkit.report.writer import ReportWriter
from srkit.studies.sweeps.figures import search_figure, variants_figure
from srkit.studies.sweeps.results import Outcome, Summary, Sweep, tables_of


def write_sweep(found: Sweep, folder: Path) -> Path:
    """Write the report of a sweep.

    Parameters
    ----------
    found
        The results.
    folder
        Output folder of ``table.csv`` (mean and standard deviation of each variant), ``runs.csv``
        (each run), ``table.json`` (both), ``variants.png`` or ``search.png``, and ``report.html``.

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
    names = [metric.name for metric in found.metrics]
    header = ["variant", "runs", *(f"{name}{end}" for name in names for end in ("", "/sd"))]
    rows = (
        [each.name, each.evaluated]
        + [number for name in names for number in (each.mean(name), each.deviation(name))]
        + [each.parameters or ""]
        for each in [*found.summaries(), *found.references()]
    )
    writer.csv("table.csv", [*header, "parameters"], rows)
    _write_runs(found, writer)
    writer.json("table.json", _summary(found, folder))
    _write_figure(found, writer)
    return writer.page(
        "report.html",
        "sweep.html",
        package="srkit.studies.sweeps",
        found=found,
        headings=[heading(metric) for metric in found.metrics],
        objective="" if found.objective is None else f"{heading(found.objective)} (validation)",
        best=best_line(found),
        deviations=deviation_line(found),
        differ_in_size=found.differ_in_size(),
        short_number=short_number,
        format_value=format_value,
        error_text=error_text,
        count_text=_count,
        changes_text=_changes,
        report_of=partial(_report_of, folder=folder),
    )


def print_sweep(found: Sweep, console: Console) -> None:
    """Print the variants, the best of each metric in bold, or the best trials of a search.

    Runs without results are listed below.
    """
    table = _variants(found) if found.objective is None else _trials(found, found.objective)
    print_columns(found.title, *table, console)
    for line in (deviation_line(found), best_line(found)):
        if line:
            console.print(Text(line), soft_wrap=True)
    names: dict[str, list[str]] = {}
    for outcome in found.missing():
        names.setdefault(outcome.reason, []).append(outcome.variant.name)
    for reason, those in names.items():
        console.print(Text(f"{', '.join(those)}: {reason}"), soft_wrap=True)


def _variants(found: Sweep) -> tuple[Column, list[Column]]:
    summaries, references = found.summaries(), found.references()
    names = Column("variant", [summary.name for summary in summaries])
    names.cells.extend(Text(reference.name, style="dim") for reference in references)
    columns = []
    for metric in found.metrics:
        best = found.best(metric)
        cells = [
            Text(_cell(metric, each), "bold" if each.name in best else "") for each in summaries
        ]
        cells += [Text(_cell(metric, each), "dim") for each in references]
        columns.append(Column(heading(metric), cells))
    if found.differ_in_size():
        sizes = [short_number(summary.parameters) for summary in summaries]
        columns.append(Column("parameters", sizes + [""] * len(references)))
    if found.repeat:
        counts = [_count(summary) for summary in summaries] + [""] * len(references)
        columns.append(Column(f"{found.repeat}s", counts))
    return names, columns


def _trials(found: Sweep, objective: MetricInfo) -> tuple[Column, list[Column]]:
    trials = found.ranked()[:NAMED]
    columns = [
        Column(key.rpartition(".")[2], [_value_text(each.variant.changes[key]) for each in trials])
        for key in (trials[0].variant.changes if trials else ())
    ]
    validated = [format_value(objective, trial.validated) for trial in trials]
    columns.append(Column(f"validation {heading(objective)}", validated))
    for metric in found.metrics:
        cells = [format_value(metric, trial.mean(metric.name)) for trial in trials]
        columns.append(Column(heading(metric), cells))
    return Column("trial", [trial.variant.name for trial in trials]), columns


def _cell(metric: MetricInfo, summary: Summary) -> str:
    mean = format_value(metric, summary.mean(metric.name))
    return f"{mean} {error_text(metric, summary)}".strip()


def error_text(metric: MetricInfo, summary: Summary) -> str:
    """Format the standard deviation of a metric; empty if it is undefined."""
    deviation = summary.deviation(metric.name)
    return "" if math.isnan(deviation) else f"± {format_value(metric, deviation)}"


def deviation_line(found: Sweep) -> str:
    """Explain the plus-minus sign, if there is any."""
    return f"Mean ± standard deviation over the {found.repeat}s." if found.repeat else ""


def best_line(found: Sweep) -> str:
    """Describe the best trial of a search."""
    best = found.best_trial()
    if best is None or found.objective is None:
        return ""
    value = f"{format_value(found.objective, best.validated)} {found.objective.unit}".strip()
    return (
        f"Best on the validation images: {best.variant.name}, {found.objective.name} {value}, with "
        f"{_changes(best)}."
    )


def _changes(outcome: Outcome) -> str:
    changes = outcome.variant.changes.items()
    return ", ".join(f"{key}={_value_text(value)}" for key, value in changes)


def _value_text(value: Any) -> str:
    """Format a value as in a recipe, numbers with four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")


def _count(summary: Summary) -> str:
    done, planned = summary.evaluated, len(summary.outcomes)
    return str(done) if done == planned else f"{done} of {planned}"


def _write_runs(found: Sweep, writer: ReportWriter) -> None:
    axes = list(dict.fromkeys(axis for o in found.outcomes for axis in o.variant.choices))
    names = [metric.name for metric in found.metrics]
    validation = [] if found.objective is None else [f"validation/{found.objective.name}"]
    rows = (
        [outcome.variant.name, outcome.variant.group]
        + [outcome.variant.choices.get(axis, "") for axis in axes]
        + [outcome.mean(name) for name in names]
        + [outcome.validated for _ in validation]
        + [outcome.reason]
        for outcome in found.outcomes
    )
    writer.csv("runs.csv", ["run", "variant", *axes, *names, *validation, "failure"], rows)


def _summary(found: Sweep, folder: Path) -> dict[str, Any]:
    best = found.best_trial()
    names = [metric.name for metric in found.metrics]

    def row(summary: Summary) -> dict[str, Any]:
        return {
            "name": summary.name,
            "runs": summary.evaluated,
            "parameters": summary.parameters or None,
            "mean": {name: summary.mean(name) for name in names},
            "standard_deviation": {name: summary.deviation(name) for name in names},
        }

    return {
        "title": found.title,
        "repeat": found.repeat,
        "objective": None if found.objective is None else found.objective.name,
        "best_trial": None if best is None else best.variant.name,
        "metrics": {
            metric.name: {**metric.properties(), "best": sorted(found.best(metric))}
            for metric in found.metrics
        },
        "variants": [row(summary) for summary in found.summaries()],
        "references": [row(summary) for summary in found.references()],
        "runs": [
            {
                "name": outcome.variant.name,
                "variant": outcome.variant.group,
                "choices": outcome.variant.choices,
                "changes": outcome.variant.changes,
                "mean": outcome.means,
                "validation": None if found.objective is None else outcome.validated,
                "failure": outcome.reason or None,
                "folder": str(outcome.run.relative_to(folder)),
            }
            for outcome in found.outcomes
        ],
    }


def _report_of(outcome: Outcome, folder: Path) -> str:
    """Return the relative path of the report of a run; for several scales, that of the first."""
    single = outcome.run / "evaluation" / "table.json"
    first = next(iter(tables_of(outcome.run).values()), single)
    return first.with_name("report.html").relative_to(folder).as_posix()


def _write_figure(found: Sweep, writer: ReportWriter) -> None:
    if not any(outcome.means for outcome in found.outcomes):
        return
    if found.best_trial() is not None:
        writer.figure(
            "search.png",
            search_figure(found),
            "Search",
            "The value on the validation images against each searched value. Star: the best trial. "
            "Brighter points: later trials. Hollow points: far worse, drawn at the edge.",
        )
        return
    caption = "Mean over the test images. Dots: single runs"
    if found.repeat:
        caption += f"; bars: their mean; whiskers: standard deviation over the {found.repeat}s"
    if found.references():
        caption += "; dashed: other models"
    writer.figure(
        "variants.png", variants_figure(found), "Variants", f"{caption}. Orange: the best."
    )
