"""Tables of an evaluation: CSV, JSON, and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.text import Text

from srkit.evaluation.calibration import (
    LEVELS,
    ONE_SIGMA,
    REMOVED,
    SIGNAL_TO_NOISE,
    TWO_SIGMA,
    Bin,
    Calibration,
)
from srkit.evaluation.class_scores import ClassScores, class_scores
from srkit.evaluation.classification import MICRO, Classification
from srkit.evaluation.differences import SIGNIFICANT, Difference, differences
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report._metric_info import LOWER, ORIGINAL, MetricInfo
from srkit.report._tables import NAMED, Column, format_value, heading, print_columns
from srkit.report.writer import ReportWriter

#: Columns of the calibration in a bin of signal-to-noise.
BIN = (
    *("signal_to_noise_from", "signal_to_noise_to", "pixels", "pull_mean"),
    *("pull_standard_deviation", "covered_by_1_sigma"),
)
#: Explains the table of paired differences.
DIFFERENCES = (
    "Differences image by image: mean ± standard error, for independent images. Bold: better by "
    f"more than {SIGNIFICANT:g} standard errors."
)


def write_tables(evaluation: Evaluation, writer: ReportWriter) -> None:
    """Write the numbers of an evaluation.

    Infinite values are written as ``inf``, in JSON as a string; values that could not be measured
    are written as ``nan``, in JSON as null.

    - ``table.csv``: means, medians and robust scatter, and the scatter of signed metrics;
    - ``table.json``: the same with standard errors, gaps closed and protocols;
    - ``per_image.csv``;
    - ``per_class.csv``, if there are labels and predictions;
    - of a trained classifier ``classification.csv`` (accuracy and AUC), ``confusion_matrix.csv``
      (rows: true classes) and ``roc.csv``;
    - of models that predict their uncertainty ``calibration.csv`` (coverage),
      ``calibration_by_brightness.csv`` (in bins of signal-to-noise) and ``sparsification.csv``.

    Parameters
    ----------
    evaluation
        The results.
    writer
        Writes to the folder of the report.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    rows = evaluation.table()
    writer.csv("table.csv", rows[0], (row.values() for row in rows))
    writer.json("table.json", summary(evaluation))
    _write_images(evaluation, writer)
    scores = class_scores(evaluation)
    if scores is not None:
        _write_classes(scores, writer)
    if evaluation.classification is not None:
        _write_classification(evaluation.classification, writer)
    if evaluation.calibrations():
        _write_calibration(evaluation.calibrations(), writer)


def _write_calibration(calibrations: Mapping[str, Calibration], writer: ReportWriter) -> None:
    coverage = (
        (name, *point)
        for name, one in calibrations.items()
        for point in zip(LEVELS.tolist(), one.coverage().tolist(), strict=True)
    )
    sparsification = (
        (name, *point)
        for name, one in calibrations.items()
        for point in zip(
            REMOVED.tolist(), one.sparsification().tolist(), one.oracle().tolist(), strict=True
        )
    )
    bins = ((name, *each.values()) for name, one in calibrations.items() for each in _bins(one))
    writer.csv("calibration.csv", ["model", "nominal", "covered"], coverage)
    writer.csv("calibration_by_brightness.csv", ["model", *BIN], bins)
    writer.csv("sparsification.csv", ["model", "removed", "error", "oracle"], sparsification)


def _bins(calibration: Calibration) -> list[dict[str, float]]:
    return [dict(zip(BIN, astuple(each), strict=True)) for each in calibration.by_brightness()]


def _write_classification(classification: Classification, writer: ReportWriter) -> None:
    counts = classification.confusion().tolist()
    matrix = ([name, *row] for name, row in zip(classification.classes, counts, strict=True))
    curves = [(classification.classes[k], roc) for k, roc in classification.curves().items()]
    points = (
        (name, *point)
        for name, roc in [*curves, (MICRO, classification.micro_average())]
        for point in zip(
            roc.false_positive_rate, roc.true_positive_rate, roc.thresholds, strict=True
        )
    )
    rows = classification.table()
    writer.csv("classification.csv", rows[0], (row.values() for row in rows))
    writer.csv("confusion_matrix.csv", ["true \\ predicted", *classification.classes], matrix)
    header = ["class", "false_positive_rate", "true_positive_rate", "threshold"]
    writer.csv("roc.csv", header, points)


def print_table(evaluation: Evaluation, console: Console) -> None:
    """Print a row for each model; the best of each metric are bold."""
    names = Column("model", [model.name for model in evaluation.models])
    print_columns(evaluation.title, names, _columns(evaluation), console)
    for line in explanations(evaluation):
        console.print(Text(line))
    _print_differences(evaluation, console)
    if evaluation.classification is not None:
        _print_classification(evaluation.classification, console)
    if evaluation.calibrations():
        _print_calibration(evaluation.calibrations(), console)


def _print_differences(evaluation: Evaluation, console: Console) -> None:
    """Print the paired differences of the last model; those in its favour are bold."""
    found = differences(evaluation)
    if not found:
        return
    columns = [
        Column(
            metric.name,
            [
                Text(difference_text(metric, each), "bold" if each and each.better else "")
                for each in column
            ],
        )
        for metric, column in zip(
            evaluation.metrics, zip(*found.values(), strict=True), strict=True
        )
    ]
    console.print()
    title = f"Differences of {evaluation.models[-1].name}"
    print_columns(title, Column("minus", found), columns, console)
    console.print(Text(DIFFERENCES))


def difference_text(metric: MetricInfo, difference: Difference | None) -> str:
    """Return a paired difference and its standard error; a dash if there is none."""
    if difference is None:
        return "–"
    mean, error = (
        format_value(metric, each) for each in (difference.mean, difference.standard_error)
    )
    return f"{mean if mean.startswith('-') else '+' + mean} ± {error}"


def _columns(evaluation: Evaluation) -> Iterator[Column]:
    for metric in evaluation.metrics:
        best = evaluation.best_models(metric)
        cells = [
            Text(
                summary_text(evaluation, metric, model), style="bold" if model.name in best else ""
            )
            for model in evaluation.models
        ]
        yield Column(heading(metric), cells)
    yield Column("time [s]", [f"{model.seconds:.1f}" for model in evaluation.models])


def _print_calibration(calibrations: Mapping[str, Calibration], console: Console) -> None:
    """Print how well the predicted standard deviations of each model match its errors."""
    models = calibrations.values()
    columns = [
        Column("pulls → 0 ± 1", [f"{one.bias:+.2f} ± {one.spread:.2f}" for one in models]),
        Column("in 1 σ → 0.683", [f"{one.covered(ONE_SIGMA):.3f}" for one in models]),
        Column("in 2 σ → 0.954", [f"{one.covered(TWO_SIGMA):.3f}" for one in models]),
        Column("cal. error ↓", [f"{one.calibration_error:.4f}" for one in models]),
        Column("AUSE ↓", [f"{one.ause:.4f}" for one in models]),
    ]
    print_columns(None, Column("σ of the model", calibrations), columns, console)
    bins = {
        name: {each.name: each for each in one.by_brightness()}
        for name, one in calibrations.items()
    }
    limits = [Bin(low, high, 0, 0, 0, 0).name for low, high in pairwise(SIGNAL_TO_NOISE)]
    columns = [
        Column(
            f"S/N {each}",
            [f"{found[each].covered:.3f}" if each in found else "–" for found in bins.values()],
        )
        for each in limits
    ]
    print_columns(None, Column("in 1 σ → 0.683", calibrations), columns, console)


def _print_classification(classification: Classification, console: Console) -> None:
    """Print accuracy and AUC of each class and the averages; of many classes only the averages."""
    rows = classification.table()
    rows = rows if len(classification.classes) <= NAMED else rows[-2:]
    columns = [Column("images", [str(row["images"]) for row in rows])]
    for key, name in (("accuracy", "accuracy ↑"), ("auc", "AUC ↑")):
        texts = ["–" if math.isnan(row[key]) else f"{row[key]:.4f}" for row in rows]
        columns.append(Column(name, texts))
    print_columns(None, Column("class", [row["class"] for row in rows]), columns, console)


def summary_text(evaluation: Evaluation, metric: MetricInfo, model: ModelResult) -> str:
    """Return a cell of the table: :func:`mean_text` and, in brackets, median ± robust scatter."""
    name = metric.name
    robust = [format_value(metric, each(name)) for each in (model.median, model.robust_scatter)]
    known = model.robust_scatter(name) > 0  # 0 as of an accuracy, which is 0 or 1
    median = f" [{' ± '.join(robust)}]" if known else ""
    return mean_text(evaluation, metric, model, median)


def mean_text(
    evaluation: Evaluation, metric: MetricInfo, model: ModelResult, further: str = ""
) -> str:
    """Return the mean of a metric, or the bias and scatter of a signed one.

    After it comes `further` and, if the metric could not be measured on every image, the number of
    images in parentheses.
    """
    text = format_value(metric, model.mean(metric.name))
    scatter = model.scatter(metric.name)
    if metric.signed and not math.isnan(scatter):
        text += f" ± {format_value(metric, scatter)}"
    text += further
    if evaluation.incomplete(metric.name):
        text += f" ({len(model.measured(metric.name))})"
    return text


def explanations(evaluation: Evaluation) -> list[str]:
    """Return explanations of the cells, and of how the best is chosen."""
    lines = []
    if any(m.robust_scatter(k.name) > 0 for m in evaluation.models for k in evaluation.metrics):
        lines.append(
            "In square brackets: median ± robust scatter (1.4826 times the median absolute "
            "deviation) over the images."
        )
    lines += means_explained(evaluation)
    for metric in evaluation.metrics:
        by_mean, by_median = evaluation.best_by_mean(metric), evaluation.best_by_median(metric)
        if not by_mean & by_median:
            lines.append(
                f"{metric.name}: the best by the mean is {_names(by_mean)}; marked is the best by "
                f"the median, {_names(by_median)}, which few images do not decide."
            )
    return lines + protocols_of_decibels(evaluation)


def protocols_of_decibels(evaluation: Evaluation) -> list[str]:
    """Return a line on the protocol of each metric in dB, since protocols differ by decibels."""
    return [f"{m.name} in dB: {m.protocol}." for m in evaluation.metrics if m.unit == "dB"]


def _names(models: Iterable[str]) -> str:
    return " and ".join(sorted(models))


def means_explained(evaluation: Evaluation) -> list[str]:
    """Return explanations of the cells that are not plain means."""
    lines = []
    if any(metric.signed for metric in evaluation.metrics):
        lines.append(
            "→ 0: bias (mean) ± scatter (standard deviation) over the images; the best has the "
            "smallest root mean square."
        )
    if any(evaluation.incomplete(metric.name) for metric in evaluation.metrics):
        lines.append(
            f"In parentheses: on how many of the {len(evaluation.names)} images the metric could "
            "be measured; the others are not included."
        )
    return lines


def _write_images(evaluation: Evaluation, writer: ReportWriter) -> None:
    header = ["image", "label"]
    columns: list[Sequence[Any]] = [evaluation.names, _optional(evaluation.labels, evaluation)]
    for model in evaluation.models:
        for metric in evaluation.metrics:
            header.append(f"{model.name}/{metric.name}")
            columns.append(model.values[metric.name].tolist())
        header.append(f"{model.name}/prediction")
        columns.append(_optional(model.predictions, evaluation))
    writer.csv("per_image.csv", header, zip(*columns, strict=True))


def _optional(column: Any, evaluation: Evaluation) -> Sequence[Any]:
    return [""] * len(evaluation.names) if column is None else column.tolist()


def _write_classes(scores: ClassScores, writer: ReportWriter) -> None:
    header = ["class", "name", "support"]
    columns: list[Sequence[Any]] = [scores.classes.tolist(), scores.names, scores.support.tolist()]
    for name in scores.f1:
        header += [f"{name}/accuracy", f"{name}/f1"]
        columns += [scores.accuracy[name].tolist(), scores.f1[name].tolist()]
    writer.csv("per_class.csv", header, zip(*columns, strict=True))


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content of ``table.json``."""
    classification = evaluation.classification
    return {
        "title": evaluation.title,
        "images": len(evaluation.names),
        "label_source": evaluation.label_source or None,
        "metrics": {metric.name: metric.properties() for metric in evaluation.metrics},
        "gap": {"lower": LOWER, "upper": ORIGINAL},
        "differences": _differences(evaluation),
        "models": [_model_summary(evaluation, model) for model in evaluation.models],
        "classification": classification and classification.table(),
        "notes": evaluation.notes,
    }


def _differences(evaluation: Evaluation) -> dict[str, Any]:
    """Return the paired differences of the last model from each other, by metric."""
    names = [metric.name for metric in evaluation.metrics]
    return {
        other: {name: each and asdict(each) for name, each in zip(names, row, strict=True)}
        for other, row in differences(evaluation).items()
    }


def _model_summary(evaluation: Evaluation, model: ModelResult) -> dict[str, Any]:
    names = [metric.name for metric in evaluation.metrics]
    signed = [metric.name for metric in evaluation.metrics if metric.signed]
    return {
        "model": model.name,
        "seconds": model.seconds,
        "measured": {name: len(model.measured(name)) for name in names},
        "mean": {name: model.mean(name) for name in names},
        "median": {name: model.median(name) for name in names},
        "robust_scatter": {name: model.robust_scatter(name) for name in names},
        "standard_error": {name: model.standard_error(name) for name in names},
        "scatter": {name: model.scatter(name) for name in signed},
        "gap_closed": {
            metric.name: evaluation.gap_closed(metric, model.name) for metric in evaluation.metrics
        },
        "calibration": _calibration_summary(model.calibration),
    }


def _calibration_summary(calibration: Calibration | None) -> dict[str, Any] | None:
    if calibration is None:
        return None
    return {
        "pixels": len(calibration.error),
        "pull_mean": calibration.bias,
        "pull_standard_deviation": calibration.spread,
        "covered_by_1_sigma": calibration.covered(ONE_SIGMA),
        "covered_by_2_sigma": calibration.covered(TWO_SIGMA),
        "calibration_error": calibration.calibration_error,
        "ause": calibration.ause,
        "by_brightness": _bins(calibration),
    }
