"""A synthetic ranking, for the tests of its report."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report._details import CropBox
from srkit.report._metric_info import MetricInfo
from srkit.studies.ranking.bootstrap import paired_difference
from srkit.studies.ranking.results import Cost, Example, Ranking

PSNR = MetricInfo("psnr_y", "dB", True, "on Y")
NIQE = MetricInfo("niqe", "", False, "without HR")
VALUES = {
    "big <net>": ([31.0, 33.0, 29.5], [4.0, 5.0, 6.0]),
    "small": ([30.9, 33.1, 29.4], [4.5, 5.5, 6.5]),
    "bicubic": ([28.0, 30.0, 26.0], [8.0, 8.5, float("nan")]),
}
COSTS = {
    "big <net>": Cost(16_700_000, 1_030_000_000_000, 2.5, 900_000_000),
    "small": Cost(57_000, 52_000_000_000, 0.02, 40_000_000),
    "bicubic": Cost(0, 0, 0.001, 3_000_000),
}


def make_ranking(costs: dict[str, Cost] = COSTS) -> Ranking:
    """Rank three models on three images; the first two are tied, and a fourth has failed."""
    models = [
        ModelResult(name, {"psnr_y": np.array(psnr), "niqe": np.array(niqe)}, None, 1.0)
        for name, (psnr, niqe) in VALUES.items()
    ]
    evaluation = Evaluation(
        title="Set3, scale 4",
        names=["a.png", "b.png", "c.png"],
        labels=None,
        label_source="",
        classes=None,
        metrics=[PSNR, NIQE],
        models=models,
        notes=["LR: bicubic"],
    )
    leads = {
        first.name: paired_difference(first.values["psnr_y"], second.values["psnr_y"], PSNR)
        for first, second in pairwise(models)
    }
    return Ranking(
        evaluation,
        PSNR,
        4,
        costs,
        {**leads, "bicubic": None},
        {"broken.pt": "a model of scale 2; expected scale 4"},
        [_example(0, 64, 64), _example(2, 64, 40)],
    )


def _example(index: int, height: int, width: int) -> Example:
    noise = np.random.default_rng(index).random((height, width, 3), dtype=np.float32)
    box = CropBox(0.25, 0.5)
    crops = {name: box.cut(noise) for name in VALUES}
    return Example(index, noise, box, box.cut(noise), box.cut(noise), crops)
