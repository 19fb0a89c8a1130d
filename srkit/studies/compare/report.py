"""The page of a comparison, as a single file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from srkit.interfaces import Metric
from srkit.report._metric_info import MetricInfo
from srkit.report._tables import format_value, heading
from srkit.report.writer import ReportWriter
from srkit.studies.compare.results import Scene


def write_comparison(
    path: Path,
    scenes: Sequence[Scene],
    models: Sequence[str],
    metrics: Mapping[str, Metric],
    lines: Sequence[str] = (),
) -> Path:
    """Write a page with scenes, images included.

    Parameters
    ----------
    path
        The page.
    scenes
        The scenes.
    models
        Names of the models, for the title.
    metrics
        The metrics of the scores.
    lines
        Notes for the reader.

    Raises
    ------
    OutputError
        If the page cannot be written.
    """
    infos = [MetricInfo.of(name, metric) for name, metric in metrics.items()]
    return ReportWriter(path.parent).page(
        path.name,
        "compare.html",
        package="srkit.studies.compare",
        models=models,
        scenes=scenes,
        metrics=infos,
        headings=[heading(info) for info in infos],
        format_value=format_value,
        lines=lines,
    )
