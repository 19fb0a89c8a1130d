"""The report of an evaluation: tables, figures, and one self-contained page."""

from __future__ import annotations

import json
import math
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from srkit.errors import DataError
from srkit.evaluation.class_scores import ClassScores, class_scores
from srkit.evaluation.classification import Classification
from srkit.evaluation.curves import write_curves
from srkit.evaluation.differences import differences
from srkit.evaluation.figures import (
    calibration_figure,
    class_changes,
    class_differences,
    confusion_figure,
    hardest_classes,
    roc_figure,
    summary_bars,
)
from srkit.evaluation.panels import Render, changed_images, image_panels
from srkit.evaluation.results import Evaluation
from srkit.evaluation.tables import (
    DIFFERENCES,
    difference_text,
    explanations,
    summary_text,
    write_tables,
)
from srkit.report._details import even_choice
from srkit.report._metric_info import LOWER, ORIGINAL
from srkit.report._summaries import Summary
from srkit.report._tables import format_value, heading
from srkit.report.writer import ReportWriter

#: With fewer images or classes, figures of classes would show noise and are not drawn.
LEAST_IMAGES, LEAST_CLASSES = 50, 5
#: With fewer images per class, figures of classes carry a warning.
STEADY_SUPPORT = 10
FRAMES = " Below each: the class that the teacher predicts; blue and ✓: right, orange and ✗: wrong."


def write_report(
    evaluation: Evaluation,
    folder: Path,
    render: Render | None = None,
    curves: Path | None = None,
    examples: int = 4,
    validation: Summary | None = None,
) -> Path:
    """Write tables, figures and a page that contains them all.

    Parameters
    ----------
    evaluation
        The results; the gains and losses of the last model are shown.
    folder
        Output folder of ``report.html``, tables and figures.
    render
        Returns the images of the panels; without it there are none.
    curves
        ``metrics.jsonl`` of the training run; without it no curves are drawn.
    examples
        Number of images to show in the panels, evenly spread over the set.
    validation
        Summary of the validation of the run, if any.

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
    write_tables(evaluation, writer)
    if evaluation.metrics:
        writer.figure(
            "summary.png",
            summary_bars(evaluation),
            "Means",
            "Mean of each metric over the images that could be measured, with its standard "
            "error; for a signed metric (→ 0) the bias, with the scatter.",
        )
    scores = class_scores(evaluation)
    missing = _why_no_class_figures(evaluation, scores)
    if evaluation.classification is not None:
        _write_classifier_figures(evaluation.classification, writer)
        missing = None  # these are its figures of classes
    elif scores is not None and missing is None:
        _write_class_figures(scores, writer)
    if evaluation.calibrations():
        _write_calibration_figure(evaluation, writer)
    if render is not None:
        _write_panels(evaluation, render, writer, examples)
    if curves is not None:
        write_curves(read_records(curves), writer, evaluation.metrics)
    return writer.page(
        "report.html",
        "report.html",
        package="srkit.evaluation",
        evaluation=evaluation,
        headings=[heading(metric) for metric in evaluation.metrics],
        explanations=explanations(evaluation),
        rows=_rows(evaluation),
        differences=_differences(evaluation),
        gaps=_gaps(evaluation),
        validation=validation,
        notes=[*evaluation.notes, *([missing] if missing else [])],
    )


def _why_no_class_figures(evaluation: Evaluation, scores: ClassScores | None) -> str | None:
    """Return why figures of classes are not drawn; None if they are, or there are no classes."""
    predicted = any(model.predictions is not None for model in evaluation.models)
    if scores is None and evaluation.labels is None and not predicted:
        return None
    if scores is None:
        return "No figures of classes: they need labels and the predictions of a teacher."
    if ORIGINAL not in scores.f1 or len(scores.f1) < 2:
        return "No figures of classes: they compare a model with the original images."
    images, classes = len(evaluation.names), len(scores.classes)
    if images < LEAST_IMAGES or classes < LEAST_CLASSES:
        return (
            f"No figures of classes: {_count(images, 'image')} of {_count(classes, 'class')} are "
            f"too few; at least {LEAST_IMAGES} images of {LEAST_CLASSES} classes are needed."
        )
    return None


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


def _write_calibration_figure(evaluation: Evaluation, writer: ReportWriter) -> None:
    writer.figure(
        "calibration.png",
        calibration_figure(evaluation.calibrations()),
        "Calibration of the uncertainty",
        "Left: share of the pixels with HR inside the central interval that σ predicts, against "
        "the nominal share. Second: the share within 1 σ by the signal-to-noise of SR, with "
        "counting errors; overall numbers are mostly those of empty sky. Third: errors over σ; the "
        "outermost bins include everything beyond. Right: error of the remaining pixels over that "
        "of all, if those of the largest σ are removed; dashed: if the largest errors are removed. "
        "Dotted: perfect agreement.",
    )


def _write_classifier_figures(classification: Classification, writer: ReportWriter) -> None:
    writer.figure(
        "confusion_matrix.png",
        confusion_figure(classification),
        "Confusion matrix",
        "Share, and below it number, of the images of each true class (row) that the classifier "
        "predicts as each class (column).",
    )
    writer.figure(
        "roc.png",
        roc_figure(classification),
        "ROC curves",
        "True positive rate of each class against its false positive rate, for thresholds of the "
        "probability from 1 to 0; dotted: chance. The micro-average is computed over all pairs of "
        "an image and a class.",
    )


def _write_class_figures(scores: ClassScores, writer: ReportWriter) -> None:
    warning = _support_warning(scores)
    for measure, title in (("accuracy", "accuracy"), ("f1", "F1")):
        writer.figure(
            f"class_differences_{measure}.png",
            class_differences(scores, measure),
            f"Change of the {title} of each class",
            f"{title[0].upper()}{title[1:]} of each class on each model's images minus that on "
            "the originals: distribution (above; dashed: mean), and against F1 on the originals "
            f"(below; hard classes to the left, larger circles for coinciding classes).{warning}",
        )
    if np.ptp(scores.f1[ORIGINAL]) > 0:
        writer.figure(
            "hardest_classes.png",
            hardest_classes(scores),
            "Hardest classes",
            f"Classes of lowest F1 on the originals; in brackets: number of images.{warning}",
        )
    model = list(scores.f1)[-1]
    for against in _references(list(scores.f1)):
        writer.figure(
            f"class_changes_{_slug(against)}.png",
            class_changes(scores, model, against),
            f"Biggest changes: {model} against {against}",
            f"Classes whose F1 changes most; in brackets: number of images.{warning}",
        )


def _support_warning(scores: ClassScores) -> str:
    median = float(np.median(scores.support))
    if median >= STEADY_SUPPORT:
        return ""
    return f" Images per class: {median:g} (median), so single images matter; read with care."


def _references(models: list[str]) -> list[str]:
    """Return what the last model is compared with: the original and its untuned start, if any."""
    return [name for name in models[:-1] if name == ORIGINAL or "untuned" in name]


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def _write_panels(
    evaluation: Evaluation, render: Render, writer: ReportWriter, examples: int
) -> None:
    if examples:
        indices = even_choice(len(evaluation.names), examples)
        figure, dpi = image_panels(evaluation, indices, render, zoom=True)
        frames = "" if class_scores(evaluation) is None else FRAMES
        caption = f"Images evenly spread over the set, each with an enlarged crop.{frames}"
        writer.figure("panels.png", figure, "Examples", caption, dpi)
    model = evaluation.models[-1].name
    for against in _references([result.name for result in evaluation.models]):
        for gains, kind in ((True, "gains"), (False, "losses")):
            indices = changed_images(evaluation, model, against, gains)
            if not indices:
                continue
            figure, dpi = image_panels(evaluation, indices, render)
            right, wrong = (model, against) if gains else (against, model)
            writer.figure(
                f"panels_{kind}_{_slug(against)}.png",
                figure,
                f"Examples of the {kind}: {model} against {against}",
                f"From the classes with the biggest {kind} in F1: images that the teacher "
                f"classifies correctly from {right} and wrongly from {wrong}.{FRAMES}",
                dpi,
            )


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl`` of a training run.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); expected one JSON object per line, as written by a "
            "training run"
        ) from error


def _rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the rows of the page's table: for each mean its text, error, and if it is the best."""
    rows = []
    best = {metric.name: evaluation.best_models(metric) for metric in evaluation.metrics}
    for model in evaluation.models:
        cells = []
        for metric in evaluation.metrics:
            error = model.standard_error(metric.name)
            cells.append(
                {
                    "text": summary_text(evaluation, metric, model),
                    "error": f"± {format_value(metric, error)}" if error > 0 else "",
                    "best": model.name in best[metric.name],
                }
            )
        rows.append({"model": model.name, "cells": cells, "seconds": f"{model.seconds:.1f}"})
    return rows


def _differences(evaluation: Evaluation) -> dict[str, Any]:
    """Return the table of the paired differences of the last model from the others."""
    rows = [
        {
            "model": name,
            "cells": [
                {"text": difference_text(metric, each), "best": each is not None and each.better}
                for metric, each in zip(evaluation.metrics, row, strict=True)
            ],
        }
        for name, row in differences(evaluation).items()
    ]
    return {"model": evaluation.models[-1].name, "key": DIFFERENCES, "rows": rows}


def _gaps(evaluation: Evaluation) -> dict[str, Any]:
    """Return the table of the gaps that the models close, for the metrics that have a gap."""
    gaps = {
        model.name: [evaluation.gap_closed(metric, model.name) for metric in evaluation.metrics]
        for model in evaluation.models
    }
    # The baseline closes no gap by definition, unless there is none.
    known = [not math.isnan(gap) for gap in gaps.get(LOWER, [])]
    rows = [
        {
            "model": name,
            "cells": ["" if math.isnan(x) else f"{100 * x:.1f} %" for x in compress(row, known)],
        }
        for name, row in gaps.items()
        if any(known) and name not in (LOWER, ORIGINAL)
    ]
    headings = [metric.name for metric in compress(evaluation.metrics, known)]
    return {"lower": LOWER, "upper": ORIGINAL, "metrics": headings, "rows": rows}
