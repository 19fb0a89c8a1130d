"""One table over several test sets, such as Set5 and Set14."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from srkit.evaluation.curves import write_curves
from srkit.evaluation.report import read_records
from srkit.evaluation.results import Evaluation
from srkit.evaluation.tables import mean_text, means_explained, protocols_of_decibels, summary
from srkit.report._metric_info import MetricInfo
from srkit.report._summaries import Summary
from srkit.report._tables import Column, heading, print_columns
from srkit.report.writer import ReportWriter

#: Numbers of a model in ``table.json`` that are mappings by metric.
NUMBERS = (
    *("measured", "mean", "median", "robust_scatter"),
    *("standard_error", "scatter", "gap_closed"),
)

#: The results of each set, by its name.
Sets = Mapping[str, Evaluation]


def write_overview(
    title: str,
    sets: Sets,
    folder: Path,
    curves: Path | None = None,
    validation: Summary | None = None,
) -> Path:
    """Write one table over several test sets, and a page that links to the report of each.

    ``table.csv`` and ``table.json`` have the numbers of those of one set; ``psnr/set5`` is the PSNR
    on the images of ``set5``.

    Parameters
    ----------
    title
        What was evaluated, for headings.
    sets
        The results of each set, of the same models and metrics.
    folder
        Output folder, in which each set has a folder with its own report.
    curves, validation
        As for :func:`srkit.evaluation.report.write_report`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    DataError
        If `curves` cannot be read.
    """
    writer = ReportWriter(folder)
    found, rows = _summary(title, sets), _rows(sets)
    writer.csv("table.csv", rows[0], (row.values() for row in rows))
    writer.json("table.json", found)
    first = next(iter(sets.values()))
    if curves is not None:
        write_curves(read_records(curves), writer, first.metrics)
    return writer.page(
        "report.html",
        "overview.html",
        package="srkit.evaluation",
        title=title,
        sets=[(name, len(each.names)) for name, each in sets.items()],
        headings=[heading(metric) for metric in first.metrics],
        metrics=first.metrics,
        explanations=_explanations(sets),
        rows=[
            (model.name, [cell for _, cell in _cells(sets, model.name)]) for model in first.models
        ],
        validation=validation,
        notes=found["notes"],
    )


def print_overview(title: str, sets: Sets, console: Console) -> None:
    """Print a row for each model, with the metrics of all sets; the best of each are bold."""
    models = [model.name for model in next(iter(sets.values())).models]
    by_model = [list(_cells(sets, name)) for name in models]
    columns = [
        Column(column[0][0], [Text(t, style="bold" if best else "") for _, (t, best) in column])
        for column in zip(*by_model, strict=True)
    ]
    print_columns(title, Column("model", models), columns, console)
    for line in _explanations(sets):
        console.print(Text(line))


def on_set(metric: MetricInfo, name: str) -> MetricInfo:
    """Return a metric with the name that it has on one of several sets, such as ``psnr/set5``."""
    return replace(metric, name=f"{metric.name}/{name}")


def _cells(sets: Sets, model: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Iterate over heading, text, and whether it is the best, of a model on each set."""
    for name, evaluation in sets.items():
        result = evaluation.model(model)
        assert result is not None
        for metric in evaluation.metrics:
            text = mean_text(evaluation, metric, result)
            best = model in evaluation.best_models(metric)
            yield f"{name} {heading(metric)}", (text, best)


def _explanations(sets: Sets) -> list[str]:
    lines = [f"{name}: {line}" for name, each in sets.items() for line in means_explained(each)]
    return lines + protocols_of_decibels(next(iter(sets.values())))


def _rows(sets: Sets) -> list[dict[str, Any]]:
    """Return the rows of ``table.csv``: those of each set side by side."""
    tables = [
        [
            {_key_on(key, evaluation, name): value for key, value in row.items()}
            for row in evaluation.table()
        ]
        for name, evaluation in sets.items()
    ]
    return [
        {key: value for part in parts for key, value in part.items()}
        for parts in zip(*tables, strict=True)
    ]


def _key_on(key: str, evaluation: Evaluation, name: str) -> str:
    """Insert the name of a set behind that of the metric, as in ``psnr/set5/median``."""
    if key == "model":
        return key
    names = [metric.name for metric in evaluation.metrics]
    known = [each for each in [*names, "seconds"] if f"{key}/".startswith(f"{each}/")]
    metric = max(known, key=len)
    return f"{metric}/{name}{key.removeprefix(metric)}"


def _summary(title: str, sets: Sets) -> dict[str, Any]:
    """Return the content of ``table.json``, which has the keys of that of one set."""
    parts = {name: summary(evaluation) for name, evaluation in sets.items()}
    first = next(iter(parts.values()))
    models = [
        {
            "model": model["model"],
            "seconds": sum(part["models"][i]["seconds"] for part in parts.values()),
            **{
                key: {
                    f"{metric}/{name}": value
                    for name, part in parts.items()
                    for metric, value in part["models"][i][key].items()
                }
                for key in NUMBERS
            },
        }
        for i, model in enumerate(first["models"])
    ]
    return {
        "title": title,
        "images": sum(part["images"] for part in parts.values()),
        "sets": {
            name: {"images": part["images"], "report": f"{name}/report.html"}
            for name, part in parts.items()
        },
        "metrics": {
            f"{metric}/{name}": about
            for name, part in parts.items()
            for metric, about in part["metrics"].items()
        },
        "gap": first["gap"],
        "models": models,
        "notes": _notes(parts),
    }


def _notes(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the notes of all sets; those of a single set begin with its name."""
    notes: dict[str, list[str]] = {}
    for name, part in parts.items():
        for note in part["notes"]:
            notes.setdefault(note, []).append(name)
    return [
        note if len(names) == len(parts) else f"{', '.join(names)}: {note}"
        for note, names in notes.items()
    ]
