"""Tables of an evaluation: CSV, JSON, and on the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from srkit.files import write_file
from srkit.results import Evaluation, MetricInfo
from srkit.statistics import (
    LOWER,
    ORIGINAL,
    ClassScores,
    best_models,
    class_scores,
    gap_closed,
    standard_error,
)


def write_tables(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the numbers of an evaluation.

    Parameters
    ----------
    evaluation
        The results.
    folder
        Where to put ``table.csv`` (means), ``table.json`` (means, standard errors, gaps closed and
        protocols), ``per_image.csv`` and, where there are labels and predictions,
        ``per_class.csv``. Infinite values stand as ``inf``, in JSON as a string.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    rows = evaluation.table()
    header = ["model", *(metric.name for metric in evaluation.metrics), "seconds"]
    summary = json.dumps(_summary(evaluation), indent=2, ensure_ascii=False, allow_nan=False)
    files = [
        write_file(folder / "table.csv", _csv(header, (row.values() for row in rows))),
        write_file(folder / "table.json", summary + "\n"),
        write_file(folder / "per_image.csv", _per_image(evaluation)),
    ]
    scores = class_scores(evaluation)
    if scores is not None:
        files.append(write_file(folder / "per_class.csv", _per_class(scores)))
    return files


def print_table(evaluation: Evaluation, console: Console) -> None:
    """Print one row a model, the best of the restored ones in bold."""
    table = Table(title=Text(evaluation.title), box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("model", no_wrap=True)
    for metric in evaluation.metrics:
        # The heading gives way on a narrow terminal, the numbers never.
        table.add_column(Text(heading(metric).replace("_", " ")), justify="right", min_width=8)
    table.add_column(Text("time [s]"), justify="right", min_width=5)
    best = {metric.name: best_models(evaluation, metric) for metric in evaluation.metrics}
    for row in evaluation.table():
        name = str(row["model"])
        cells = [
            Text(
                format_value(metric, float(row[metric.name])), style=_style(name, best[metric.name])
            )
            for metric in evaluation.metrics
        ]
        table.add_row(Text(name), *cells, f"{row['seconds']:.1f}")
    console.print(table)


def heading(metric: MetricInfo) -> str:
    """Head a metric's column: name, unit, and an arrow towards the better values."""
    return f"{label(metric)} {'↑' if metric.higher_is_better else '↓'}"


def label(metric: MetricInfo) -> str:
    """Name a metric with its unit."""
    return f"{metric.name} [{metric.unit}]" if metric.unit else metric.name


def format_value(metric: MetricInfo, value: float) -> str:
    """Round as the metric deserves: 2 decimals for dB, 4 for others, 3 digits when tiny."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if metric.unit == "dB":
        return f"{value:.2f}"
    return f"{value:.2e}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def _style(name: str, best: set[str]) -> str:
    return "bold" if name in best else ""


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _per_image(evaluation: Evaluation) -> str:
    header = ["image", "label"]
    columns: list[Sequence[Any]] = [evaluation.names, _optional(evaluation.labels, evaluation)]
    for model in evaluation.models:
        for metric in evaluation.metrics:
            header.append(f"{model.name}/{metric.name}")
            columns.append(model.values[metric.name].tolist())
        header.append(f"{model.name}/prediction")
        columns.append(_optional(model.predictions, evaluation))
    return _csv(header, zip(*columns, strict=True))


def _optional(column: Any, evaluation: Evaluation) -> Sequence[Any]:
    return [""] * len(evaluation.names) if column is None else column.tolist()


def _per_class(scores: ClassScores) -> str:
    header = ["class", "name", "support"]
    columns: list[Sequence[Any]] = [scores.classes.tolist(), scores.names, scores.support.tolist()]
    for name in scores.f1:
        header += [f"{name}/accuracy", f"{name}/f1"]
        columns += [scores.accuracy[name].tolist(), scores.f1[name].tolist()]
    return _csv(header, zip(*columns, strict=True))


def _summary(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "title": evaluation.title,
        "images": len(evaluation.names),
        "label_source": None if evaluation.labels is None else evaluation.label_source,
        "metrics": {
            metric.name: {
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
                "protocol": metric.protocol,
            }
            for metric in evaluation.metrics
        },
        "gap": {"lower": LOWER, "upper": ORIGINAL},
        "models": [_model_summary(evaluation, row) for row in evaluation.table()],
        "notes": evaluation.notes,
    }


def _model_summary(evaluation: Evaluation, row: dict[str, str | float]) -> dict[str, Any]:
    name = str(row["model"])
    model = evaluation.model(name)
    assert model is not None
    return {
        "model": name,
        "seconds": row["seconds"],
        "mean": {m.name: _strict(float(row[m.name])) for m in evaluation.metrics},
        "standard_error": {
            m.name: standard_error(model.values[m.name]) for m in evaluation.metrics
        },
        "gap_closed": {m.name: gap_closed(evaluation, m.name, name) for m in evaluation.metrics},
    }


def _strict(value: float) -> float | str:
    """Spell out what strict JSON has no number for."""
    return value if math.isfinite(value) else str(value)
