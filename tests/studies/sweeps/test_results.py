from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweep_setup import PSNR, SHIFT, make_outcome

from srkit.evaluation.results import Evaluation, ModelResult
from srkit.evaluation.tables import write_tables
from srkit.recipe.variants import Variant
from srkit.report.writer import ReportWriter
from srkit.studies.sweeps.results import Outcome, Summary, Sweep, read_outcome


def sweep_of(*outcomes: Outcome, **more: Any) -> Sweep:
    return Sweep("mine", [PSNR], list(outcomes), **more)


def test_repetitions_are_averaged() -> None:
    values = [30.0, 31.0, 33.5]
    found = sweep_of(*(make_outcome("a", i, psnr=value) for i, value in enumerate(values)))
    (summary,) = found.summaries()
    assert (summary.name, len(summary.outcomes), summary.evaluated) == ("a", 3, 3)
    assert summary.mean("psnr") == pytest.approx(statistics.mean(values))
    assert summary.deviation("psnr") == pytest.approx(statistics.stdev(values))


def test_run_without_results_is_planned_but_not_counted() -> None:
    failed = Outcome(Variant("a_1", "a", {}, {}), Path("a_1"), reason="killed by SIGKILL")
    found = sweep_of(make_outcome("a", 0, psnr=30.0), failed)
    (summary,) = found.summaries()
    assert (len(summary.outcomes), summary.evaluated, summary.mean("psnr")) == (2, 1, 30.0)
    assert math.isnan(summary.deviation("psnr"))
    assert found.missing() == [failed]


def test_metric_that_was_not_measured_is_nan() -> None:
    assert math.isnan(Summary("a", []).mean("psnr"))
    assert math.isnan(Summary("a", [make_outcome("a", 0, psnr=math.nan)]).mean("psnr"))
    assert math.isnan(Summary("a", [make_outcome("a", 0, psnr=math.inf)] * 2).deviation("psnr"))


def test_best_needs_several_variants() -> None:
    a, b = make_outcome("a", 0, psnr=30.0), make_outcome("b", 0, psnr=31.0)
    assert sweep_of(a, b).best(PSNR) == {"b"}
    assert sweep_of(b).best(PSNR) == set()


def test_signed_metric_ranks_by_its_root_mean_square() -> None:
    biased = make_outcome("biased", 0, shift=-0.5)
    scattered = make_outcome("scattered", 0, scores={"shift": 0.9}, shift=0.0)
    assert sweep_of(biased, scattered).best(SHIFT) == {"biased"}


def test_other_models_are_shown_if_all_variants_agree() -> None:
    both = {"bicubic": {"psnr": 28.0}, "start": {"psnr": 27.0}}
    other = {"bicubic": {"psnr": 28.0}, "start": {"psnr": 26.0}}
    found = sweep_of(
        *(make_outcome("a", i, others=both, psnr=30.0) for i in range(2)),
        *(make_outcome("b", i, others=other, psnr=30.0) for i in range(2)),
    )
    assert [(each.name, each.mean("psnr"), each.evaluated) for each in found.references()] == [
        ("bicubic", 28.0, 1)
    ]


def test_other_models_may_differ_between_repetitions() -> None:
    folds = [{"bicubic": {"psnr": value}} for value in (27.0, 28.0)]
    found = sweep_of(
        *(make_outcome("a", i, others=other, psnr=30.0) for i, other in enumerate(folds)),
        *(make_outcome("b", i, others=other, psnr=31.0) for i, other in enumerate(folds)),
    )
    (summary,) = found.references()
    assert summary.mean("psnr") == 27.5
    assert summary.deviation("psnr") == pytest.approx(statistics.stdev([27.0, 28.0]))


def test_best_trial() -> None:
    trials = [make_outcome("a", i, validated=v, psnr=1.0) for i, v in enumerate([math.nan, 2, 3])]
    assert sweep_of(*trials, objective=PSNR).best_trial() == trials[2]
    assert sweep_of(*trials, objective=SHIFT).best_trial() == trials[1]
    assert sweep_of(trials[0], objective=PSNR).best_trial() is None
    assert sweep_of(*trials).best_trial() is None


def test_outcome_is_read_from_an_evaluation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = {"psnr": rng.normal(30, 1, 7), "shift": rng.normal(0.2, 1, 7)}
    values["shift"][3] = np.nan
    models = [
        ModelResult("original", {"psnr": np.full(7, np.inf), "shift": np.zeros(7)}, None, 0.1),
        ModelResult("mine-a", values, None, 0.1),
    ]
    names = [str(i) for i in range(7)]
    evaluation = Evaluation("mine-a", names, None, "", None, [PSNR, SHIFT], models, [])
    write_tables(evaluation, ReportWriter(tmp_path / "evaluation"))
    variant = Variant("a", "a", {}, {})
    found = read_outcome(variant, tmp_path, "")
    assert found.means == {name: pytest.approx(np.nanmean(v)) for name, v in values.items()}
    assert found.others == {"original": {"psnr": math.inf, "shift": 0.0}}
    for metric in (PSNR, SHIFT):
        assert found.scores[metric.name] == pytest.approx(models[1].score(metric))


def test_outcome_of_one_image_and_of_none(tmp_path: Path) -> None:
    model = {
        "model": "mine",
        "mean": {"shift": -0.5, "psnr": None},
        "measured": {"shift": 1, "psnr": 0},
        "scatter": {"shift": None},
    }
    metrics = {"shift": {"signed": True}, "psnr": {"signed": False}}
    (tmp_path / "evaluation").mkdir()
    table = tmp_path / "evaluation" / "table.json"
    table.write_text(json.dumps({"metrics": metrics, "models": [model]}))
    found = read_outcome(Variant("a", "a", {}, {}), tmp_path, "")
    assert found.scores["shift"] == 0.5
    assert math.isnan(found.scores["psnr"])
