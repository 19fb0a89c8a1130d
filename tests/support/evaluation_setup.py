"""Evaluations of random numbers, and functions that read their files."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import numpy as np

from srkit.evaluation.classification import Classification
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report._metric_info import MetricInfo

PSNR = MetricInfo("psnr", "dB", True, "RGB, no crop")
ACCURACY = MetricInfo("accuracy", "", True, "first answer <equals> the label")
CROSS_ENTROPY = MetricInfo("cross_entropy", "", False, "natural logarithm")
FLUX = MetricInfo("flux_error", "mag", False, "SR over HR", signed=True)
MODELS = {"original": 0.9, "bilinear": 0.5, "bicubic": 0.6, "untuned": 0.75, "DarioNet": 0.85}
NAMES = ["Airedale, Airedale terrier", "price of $5", "hen", *(f"thing {i}" for i in range(12))]


def evaluation(images: int = 60, classes: int = 12, seed: int = 3) -> Evaluation:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    models = []
    for name, share in MODELS.items():
        wrong = random.integers(0, classes + 2, images)
        answers = np.where(random.random(images) < share, labels, wrong)
        psnr = random.normal(20 + 8 * share, 2, images)
        values = {
            "psnr": np.full(images, np.inf) if name == "original" else psnr,
            "accuracy": (answers == labels).astype(np.float64),
            "cross_entropy": random.gamma(2, 1.2 - share, images),
        }
        models.append(ModelResult(name, values, answers, 1.5))
    names = [f"folder/{i}.jpg" for i in range(images)]
    metrics = [PSNR, ACCURACY, CROSS_ENTROPY]
    notes = ["2 files <skipped> & counted"]
    return Evaluation("a title", names, labels, "data set", NAMES, metrics, models, notes)


def small(means: dict[str, float]) -> Evaluation:
    """Return an evaluation of two images with given means of the cross-entropy."""
    models = [
        ModelResult(name, {"cross_entropy": np.array([mean - 0.5, mean + 0.5])}, None, 0.0)
        for name, mean in means.items()
    ]
    return Evaluation("t", ["a", "b"], None, "", None, [CROSS_ENTROPY], models, [])


def photometry() -> Evaluation:
    """Return an evaluation of signed errors of four images, one without a source."""
    values = {"original": [0.0, 0.0, np.nan, 0.0], "biased": [0.1, 0.2, np.nan, 0.3]}
    values |= {"noisy": [-0.9, 0.0, 0.9, np.nan], "blind": [np.nan] * 4}
    models = [ModelResult(n, {"flux_error": np.array(v)}, None, 0.0) for n, v in values.items()]
    return Evaluation("t", list("abcd"), None, "", None, [FLUX], models, [])


def classified(classes: int = 3) -> Evaluation:
    random = np.random.default_rng(11)
    labels = random.integers(0, classes, 90)
    scores = random.gamma(1, 1, (90, classes)) + 2 * (labels[:, None] == np.arange(classes))
    names = ["no <dark> matter", "cdm", *(f"class {k}" for k in range(2, classes))]
    found = Classification(labels, scores / scores.sum(1, keepdims=True), names)
    right = {"accuracy": (found.predictions == labels).astype(np.float64)}
    models = [ModelResult("original", right, found.predictions, 1.0)]
    images = [f"{i}.npy" for i in range(90)]
    return Evaluation("t", images, labels, "data set", names, [ACCURACY], models, [], found)


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text("utf-8"))))


def refuse_constant(text: str) -> None:
    raise AssertionError(f"{text} is not strict JSON")
