"""A ranking as tables, figures and one self-contained page."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from srkit.evaluation.results import ModelResult
from srkit.evaluation.statistics import standing
from srkit.evaluation.tables import explanations, summary_text
from srkit.report.pages import Picture, render_page
from srkit.report.plotting import DPI, png
from srkit.report.tables import (
    Column,
    csv_text,
    format_value,
    heading,
    print_columns,
    short_number,
    strict,
)
from srkit.studies.ranking.figures import cost_caption, cost_figure, ranking_sheet
from srkit.studies.ranking.results import Ranking
from srkit.system.files import write_file

#: Headings of the columns beside the metrics.
COSTS = ("parameters", "multiply-adds", "time [s]", "memory [MB]")
SHEET = (
    "The most detailed square of pictures evenly spread over the set: HR, LR and the models, the "
    "best first. The scores are of the whole pictures."
)


def write_ranking(found: Ranking, folder: Path) -> Path:
    """Write a ranking.

    Parameters
    ----------
    found
        The ranking.
    folder
        Gets ``ranking.csv`` and ``ranking.json``, ``per_image.csv``, ``sheet.png``, ``cost.png``,
        and ``ranking.html``, which holds them all.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    rows = _rows(found)
    write_file(folder / "ranking.csv", csv_text(rows[0], (row.values() for row in rows)))
    summary = json.dumps(_summary(found), indent=2, ensure_ascii=False, allow_nan=False)
    write_file(folder / "ranking.json", summary + "\n")
    write_file(folder / "per_image.csv", _per_image(found))
    figure, dpi = ranking_sheet(found)
    pictures = [
        Picture(write_file(folder / "sheet.png", png(figure, dpi)), "Picture sheet", SHEET),
        Picture(
            write_file(folder / "cost.png", png(cost_figure(found), DPI)),
            "Quality against cost",
            cost_caption(found),
        ),
    ]
    page = render_page(
        "ranking.html",
        package="srkit.studies.ranking",
        found=found,
        by=found.by.name.replace("_", " "),
        headings=[heading(metric) for metric in found.evaluation.metrics],
        costs=COSTS,
        rows=[_html_row(found, rank) for rank in range(1, len(rows) + 1)],
        lines=lines(found),
        pictures=pictures,
    )
    return write_file(folder / "ranking.html", page)


def print_ranking(found: Ranking, console: Console) -> None:
    """Print the ranking, its ties, and what failed."""
    models = found.evaluation.models
    names = Column("model", [Text(f"{n}. {model.name}") for n, model in enumerate(models, 1)])
    metrics = [
        Column(
            heading(metric).replace("_", " "),
            [Text(summary_text(found.evaluation, metric, model)) for model in models],
        )
        for metric in found.evaluation.metrics
    ]
    leads = Column("ahead of next", [Text(lead_text(found, model)) for model in models])
    costs = [
        Column(name, [Text(_costs(found, model)[place]) for model in models])
        for place, name in enumerate(COSTS)
    ]
    by = [info.name for info in found.evaluation.metrics].index(found.by.name)
    columns = [metrics.pop(by), leads, *metrics, *costs]
    print_columns(f"{found.evaluation.title}: by {found.by.name}", names, columns, console)
    for line in lines(found):
        console.print(Text(line))
    for name, reason in found.failures.items():
        console.print(Text.assemble(("failed ", "red"), f"{name}: {reason}"), soft_wrap=True)


def lines(found: Ranking) -> list[str]:
    """Say in words what the table does not."""
    told = [
        f"{first} and {second} are tied: the 95 % interval of their difference holds 0."
        for first, second in found.ties
    ]
    told += explanations(found.evaluation)
    told.append(
        "Multiply-adds: for an SR picture of 1280 x 720. Time: mean of a picture. Memory: its rise "
        "to the peak on the largest picture, weights included."
    )
    return told + found.evaluation.notes


def lead_text(found: Ranking, model: ModelResult) -> str:
    """Write how far a model is ahead of the next, with the interval."""
    lead = found.leads[model.name]
    if lead is None:
        return ""
    value, low, high = (format_value(found.by, each) for each in (lead.value, lead.low, lead.high))
    return f"{value} [{low}, {high}]{' tie' if lead.tie else ''}"


def _costs(found: Ranking, model: ModelResult) -> list[str]:
    cost = found.costs[model.name]
    counts = [short_number(cost.parameters), short_number(cost.multiply_adds)]
    return [*counts, f"{cost.seconds:.3f}", f"{cost.memory / 1e6:.0f}"]


def _rows(found: Ranking) -> list[dict[str, Any]]:
    """Shape the table for the CSV file: plain numbers."""
    rows = []
    for rank, model in enumerate(found.evaluation.models, start=1):
        lead, cost = found.leads[model.name], found.costs[model.name]
        told = {"lead": lead.value, "low": lead.low, "high": lead.high} if lead else {}
        rows.append(
            {
                "rank": rank,
                "model": model.name,
                **{m.name: standing(model, m) for m in found.evaluation.metrics},
                "lead": told.get("lead", ""),
                "lead_low": told.get("low", ""),
                "lead_high": told.get("high", ""),
                "tied_with_next": "" if lead is None else lead.tie,
                **{f"{key}": value for key, value in asdict(cost).items()},
            }
        )
    return rows


def _summary(found: Ranking) -> dict[str, Any]:
    evaluation = found.evaluation
    return {
        "title": evaluation.title,
        "scale": found.scale,
        "images": len(evaluation.names),
        "by": found.by.name,
        "metrics": {metric.name: asdict(metric) for metric in evaluation.metrics},
        "models": [
            {
                "model": model.name,
                "mean": {m.name: strict(model.mean(m.name)) for m in evaluation.metrics},
                "lead": None if (lead := found.leads[model.name]) is None else asdict(lead),
                "tied_with_next": None if lead is None else lead.tie,
                **asdict(found.costs[model.name]),
            }
            for model in evaluation.models
        ],
        "failures": found.failures,
        "notes": evaluation.notes,
    }


def _per_image(found: Ranking) -> str:
    evaluation = found.evaluation
    columns = {
        f"{model.name}/{metric.name}": model.values[metric.name].tolist()
        for model in evaluation.models
        for metric in evaluation.metrics
    }
    rows = zip(evaluation.names, *columns.values(), strict=True)
    return csv_text(["image", *columns], rows)


def _html_row(found: Ranking, rank: int) -> dict[str, Any]:
    model = found.evaluation.models[rank - 1]
    lead = found.leads[model.name]
    return {
        "rank": rank,
        "model": model.name,
        "cells": [
            {
                "text": summary_text(found.evaluation, metric, model),
                "by": metric.name == found.by.name,
            }
            for metric in found.evaluation.metrics
        ],
        "lead": lead_text(found, model).removesuffix(" tie"),
        "tie": lead is not None and lead.tie,
        "costs": _costs(found, model),
    }
