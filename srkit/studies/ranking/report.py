"""The report of a ranking: tables, figures, and one self-contained page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from srkit.evaluation.tables import mean_text, means_explained
from srkit.report._metric_info import MetricInfo
from srkit.report._tables import Column, format_value, heading, print_columns, short_number
from srkit.report.writer import ReportWriter
from srkit.studies.ranking.bootstrap import Difference
from srkit.studies.ranking.figures import cost_caption, cost_figure, ranking_sheet
from srkit.studies.ranking.results import Cost, Ranking

#: The columns of the costs.
COSTS: dict[str, Callable[[Cost], str]] = {
    "parameters": lambda cost: short_number(cost.parameters),
    "multiply-adds": lambda cost: short_number(cost.multiply_adds),
    "time [s]": lambda cost: f"{cost.seconds:.3f}",
    "memory [MB]": lambda cost: f"{cost.memory / 1e6:.0f}",
}
SHEET = (
    "The most detailed square of images that are evenly spread over the test set: HR, LR and the "
    "models, the best first. The scores are those of the whole images."
)


def write_ranking(ranking: Ranking, folder: Path) -> Path:
    """Write the report of a ranking.

    Parameters
    ----------
    ranking
        The results.
    folder
        Output folder of ``ranking.csv`` and ``ranking.json``, ``per_image.csv``, ``sheet.png``,
        ``cost.png``, and ``ranking.html``, which contains everything.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    evaluation = ranking.evaluation
    writer = ReportWriter(folder)
    rows = _rows(ranking)
    writer.csv("ranking.csv", rows[0], (row.values() for row in rows))
    writer.json("ranking.json", _summary(ranking))
    values = {
        f"{model.name}/{metric.name}": model.values[metric.name].tolist()
        for model in evaluation.models
        for metric in evaluation.metrics
    }
    columns = zip(evaluation.names, *values.values(), strict=True)
    writer.csv("per_image.csv", ["image", *values], columns)
    sheet, dpi = ranking_sheet(ranking)
    writer.figure("sheet.png", sheet, "Image sheet", SHEET, dpi)
    caption = cost_caption(ranking)
    writer.figure("cost.png", cost_figure(ranking), "Quality against cost", caption)
    return writer.page(
        "ranking.html",
        "ranking.html",
        package="srkit.studies.ranking",
        ranking=ranking,
        evaluation=evaluation,
        headings=[heading(metric) for metric in evaluation.metrics],
        costs=COSTS,
        cell=partial(mean_text, evaluation),
        lead_text=partial(lead_text, ranking.by),
        lines=lines(ranking),
    )


def print_ranking(ranking: Ranking, console: Console) -> None:
    """Print the ranking, its ties, and the models that failed."""
    evaluation, models = ranking.evaluation, ranking.evaluation.models

    def column(metric: MetricInfo) -> Column:
        return Column(heading(metric), [mean_text(evaluation, metric, m) for m in models])

    names = Column("model", [f"{rank}. {model.name}" for rank, model in enumerate(models, 1)])
    leads = [ranking.leads[model.name] for model in models]
    ties = [" tie" if lead is not None and lead.tie else "" for lead in leads]
    texts = [lead_text(ranking.by, lead) + tie for lead, tie in zip(leads, ties, strict=True)]
    columns = [
        column(ranking.by),
        Column("ahead of next", texts),
        *(column(metric) for metric in evaluation.metrics if metric != ranking.by),
        *(
            Column(name, [text(ranking.costs[model.name]) for model in models])
            for name, text in COSTS.items()
        ),
    ]
    print_columns(f"{evaluation.title}: by {ranking.by.name}", names, columns, console)
    for line in lines(ranking):
        console.print(Text(line))
    for name, reason in ranking.failures.items():
        console.print(Text.assemble(("failed ", "red"), f"{name}: {reason}"), soft_wrap=True)


def lines(ranking: Ranking) -> list[str]:
    """Return the ties, explanations of the columns, and notes."""
    ties = [
        f"{first} and {second} are tied: the 95 % interval of their difference contains 0."
        for first, second in ranking.ties
    ]
    costs = (
        "Multiply-adds: for an SR image of 1280 x 720. Time: mean per image. Memory: peak on the "
        "largest image, including the weights."
    )
    return [*ties, *means_explained(ranking.evaluation), costs, *ranking.evaluation.notes]


def lead_text(metric: MetricInfo, lead: Difference | None) -> str:
    """Format the lead of a model over the next, with its interval."""
    if lead is None:
        return ""
    value, low, high = (format_value(metric, each) for each in (lead.value, lead.low, lead.high))
    return f"{value} [{low}, {high}]"


def _rows(ranking: Ranking) -> list[dict[str, Any]]:
    """Return the rows of the CSV file."""
    rows = []
    for rank, model in enumerate(ranking.evaluation.models, start=1):
        lead = ranking.leads[model.name]
        rows.append(
            {
                "rank": rank,
                "model": model.name,
                **{metric.name: model.score(metric) for metric in ranking.evaluation.metrics},
                "lead": "" if lead is None else lead.value,
                "lead_low": "" if lead is None else lead.low,
                "lead_high": "" if lead is None else lead.high,
                "tied_with_next": "" if lead is None else lead.tie,
                **asdict(ranking.costs[model.name]),
            }
        )
    return rows


def _summary(ranking: Ranking) -> dict[str, Any]:
    evaluation = ranking.evaluation
    return {
        "title": evaluation.title,
        "scale": ranking.scale,
        "images": len(evaluation.names),
        "by": ranking.by.name,
        "metrics": {metric.name: asdict(metric) for metric in evaluation.metrics},
        "models": [
            {
                "model": model.name,
                "mean": {metric.name: model.mean(metric.name) for metric in evaluation.metrics},
                "lead": None if (lead := ranking.leads[model.name]) is None else asdict(lead),
                "tied_with_next": None if lead is None else lead.tie,
                **asdict(ranking.costs[model.name]),
            }
            for model in evaluation.models
        ],
        "failures": ranking.failures,
        "notes": evaluation.notes,
    }
