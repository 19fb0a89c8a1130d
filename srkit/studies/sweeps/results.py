"""The results of a sweep: the metrics of each run, and their mean and deviation by variant."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from srkit.errors import DataError
from srkit.recipe.variants import Variant
from srkit.report._metric_info import MetricInfo
from srkit.system.untrusted import parse_json

Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a run.

    Parameters
    ----------
    variant
        The variant.
    run
        The run folder.
    means
        Mean of each metric over the test images; empty if the run was not evaluated.
    scores
        The values by which variants are ranked: the means, or the root mean squares of signed
        metrics.
    others
        The means of the other models in its evaluation, such as ``bicubic``.
    reason
        Why the run has no results; empty if it has.
    validated
        The best value on the validation images; NaN if there is none.
    parameters
        Number of weights of the generator.
    """

    variant: Variant
    run: Path
    means: Numbers = field(default_factory=dict)
    scores: Numbers = field(default_factory=dict)
    others: Mapping[str, Numbers] = field(default_factory=dict)
    reason: str = ""
    validated: float = math.nan
    parameters: int = 0

    def mean(self, metric: str) -> float:
        """Return the mean of a metric; NaN if it was not measured."""
        return self.means.get(metric, math.nan)


@dataclass(frozen=True, slots=True)
class Summary:
    """A row of the table: the repetitions of a variant, or another model for comparison.

    Parameters
    ----------
    name
        Name of the variant or model.
    outcomes
        The results of each repetition.
    """

    name: str
    outcomes: Sequence[Outcome]

    @property
    def evaluated(self) -> int:
        """The number of repetitions that have results."""
        return sum(bool(outcome.means) for outcome in self.outcomes)

    @property
    def parameters(self) -> int:
        """The number of weights of the generator, the same in all repetitions."""
        return self.outcomes[0].parameters

    def values(self, metric: str) -> list[float]:
        """Return a metric of each repetition that has it."""
        return _known(outcome.mean(metric) for outcome in self.outcomes)

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the repetitions; NaN if none has it."""
        return _mean(self.values(metric))

    def deviation(self, metric: str) -> float:
        """Return the sample standard deviation over the repetitions; NaN for fewer than two."""
        values = self.values(metric)
        defined = len(values) > 1 and np.isfinite(values).all()
        return float(np.std(values, ddof=1)) if defined else math.nan

    def score(self, metric: str) -> float:
        """Return the mean of the score over the repetitions; NaN if none has it."""
        return _mean(_known(outcome.scores.get(metric, math.nan) for outcome in self.outcomes))


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


@dataclass(frozen=True, slots=True)
class Sweep:
    """The results of a sweep.

    Parameters
    ----------
    title
        Name of the recipe.
    metrics
        The metrics.
    outcomes
        The results of each run.
    repeat
        The axis over which variants are averaged, if any.
    objective
        Of a search, the metric that is optimised on the validation images.
    logarithmic
        Of a search, the keys that are searched on a logarithmic scale.
    """

    title: str
    metrics: list[MetricInfo]
    outcomes: list[Outcome]
    repeat: str | None = None
    objective: MetricInfo | None = None
    logarithmic: Collection[str] = ()

    def summaries(self) -> list[Summary]:
        """Return the variants, each with its repetitions."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault(outcome.variant.group, []).append(outcome)
        return [Summary(name, outcomes) for name, outcomes in groups.items()]

    def differ_in_size(self) -> bool:
        """Return whether the networks of the variants have different numbers of weights."""
        return len({outcome.parameters for outcome in self.outcomes}) > 1

    def references(self) -> list[Summary]:
        """Return the other models in the evaluations, if their results agree for all variants.

        The variants then have the same test data. Between repetitions, such as folds, the results
        may differ; if they do not, the result of one run is returned.
        """
        found = []
        for name in dict.fromkeys(name for outcome in self.outcomes for name in outcome.others):
            sets = [
                [
                    replace(o, means=o.others.get(name, {}), parameters=0)
                    for o in summary.outcomes
                    if o.means
                ]
                for summary in self.summaries()
            ]
            longest = max(sets, key=len)
            if all(_equal(outcomes, longest) for outcomes in sets):
                constant = _equal(longest, longest[:1] * len(longest))
                found.append(Summary(name, longest[:1] if constant else longest))
        return found

    def best(self, metric: MetricInfo) -> set[str]:
        """Return the names of the best variants, ties included; none for a single variant."""
        scores = {summary.name: summary.score(metric.name) for summary in self.summaries()}
        known = {name: value for name, value in scores.items() if not math.isnan(value)}
        if len(known) < 2:
            return set()
        best = max(known.values()) if metric.higher_is_better else min(known.values())
        return {name for name, value in known.items() if value == best}

    def best_trial(self) -> Outcome | None:
        """Return the trial that is best on the validation images; None if none was validated."""
        best = next(iter(self.ranked()), None)
        if self.objective is None or best is None or math.isnan(best.validated):
            return None
        return best

    def ranked(self) -> list[Outcome]:
        """Return the runs; those of a search in order of their value on the validation images."""
        if self.objective is None:
            return self.outcomes
        sign = -1 if self.objective.higher_is_better else 1
        return sorted(
            self.outcomes,
            key=lambda o: math.inf if math.isnan(o.validated) else sign * o.validated,
        )

    def missing(self) -> list[Outcome]:
        """Return the runs that have no results."""
        return [outcome for outcome in self.outcomes if not outcome.means]


def _equal(first: Sequence[Outcome], second: Sequence[Outcome]) -> bool:
    """Return whether the means of repetitions that both have are equal up to rounding."""
    return all(
        one.means.keys() == two.means.keys()
        and all(np.isclose(one.means[k], two.means[k], 1e-5, equal_nan=True) for k in one.means)
        for one, two in zip(first, second, strict=False)
    )


def read_outcome(variant: Variant, run: Path, reason: str, validated: float = math.nan) -> Outcome:
    """Read the evaluation of a run, unless there is a reason why it has none."""
    if reason:
        return Outcome(variant, run, reason=reason, validated=validated)
    means: dict[str, float] = {}
    scores: dict[str, float] = {}
    others: dict[str, dict[str, float]] = {}
    for scale, path in tables_of(run).items():
        try:
            found = parse_json(path.read_bytes())
            *rest, own = found["models"]
            means |= _means(own, scale)
            for name, about in found["metrics"].items():
                scores[f"{name}{scale}"] = _score(own, name, about["signed"])
            for other in rest:
                others.setdefault(other["model"], {}).update(_means(other, scale))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}: damaged ({error}); remove it, and run the same command again"
            ) from error
    return Outcome(variant, run, means, scores, others, validated=validated)


def tables_of(run: Path) -> dict[str, Path]:
    """Return the files of the results; if there are several scales, by a suffix such as `` x2``."""
    folder = run / "evaluation"
    if (folder / "table.json").is_file():
        return {"": folder / "table.json"}
    return {f" {path.parent.name}": path for path in sorted(folder.glob("x*/table.json"))}


def _means(model: Mapping[str, Any], scale: str) -> dict[str, float]:
    return {f"{name}{scale}": _number(value) for name, value in model["mean"].items()}


def _score(model: Mapping[str, Any], metric: str, signed: bool) -> float:
    """Return the mean; for a signed metric the root mean square, from mean and scatter."""
    mean, count = _number(model["mean"][metric]), model["measured"][metric]
    if not signed or count == 0:
        return mean
    scatter = _number(model["scatter"][metric]) if count > 1 else 0.0
    return math.sqrt(mean**2 + scatter**2 * (count - 1) / count)


def _number(value: float | str | None) -> float:
    """Read a number of strict JSON, where null is a value that could not be measured."""
    return math.nan if value is None else float(value)
