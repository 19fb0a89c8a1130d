"""What a sweep found: the numbers of each run, and their mean and scatter by variant."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from srkit.recipe.variants import Variant
from srkit.report.metric_info import MetricInfo

Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a variant.

    Parameters
    ----------
    variant
        Which one.
    run
        Its run folder.
    means
        Mean of each metric over the test images; empty if the run did not get there.
    standings
        The numbers by which variants are ranked: the means, of signed metrics the root mean
        squares.
    others
        The means of the other models that its evaluation has, such as ``bicubic``.
    reason
        Why there are no numbers; empty if there are.
    validated
        In a search, the best value on the validation images.
    """

    variant: Variant
    run: Path
    means: Numbers = field(default_factory=dict)
    standings: Numbers = field(default_factory=dict)
    others: Mapping[str, Numbers] = field(default_factory=dict)
    reason: str = ""
    validated: float = math.nan


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a variant's repetitions, or another model measured beside them.

    Parameters
    ----------
    name
        What it is called.
    runs
        The values of each run that has any.
    planned
        How many there are to be.
    standings
        As in :class:`Outcome`; empty for models that do not compete.
    """

    name: str
    runs: Sequence[Numbers]
    planned: int
    standings: Sequence[Numbers] = ()

    def values(self, metric: str) -> list[float]:
        """List a metric's value in each run that has it."""
        values = [run.get(metric, math.nan) for run in self.runs]
        return [value for value in values if not math.isnan(value)]

    def mean(self, metric: str) -> float:
        """Average a metric over the runs; NaN if none has it."""
        values = self.values(metric)
        return float(np.mean(values)) if values else math.nan

    def deviation(self, metric: str) -> float:
        """Give the sample standard deviation over the runs; NaN for less than two."""
        values = self.values(metric)
        steady = len(values) > 1 and np.isfinite(values).all()
        return float(np.std(values, ddof=1)) if steady else math.nan

    def standing(self, metric: str) -> float:
        """Average what a metric ranks by over the runs; NaN where there is nothing to rank."""
        values = [run.get(metric, math.nan) for run in self.standings]
        known = [value for value in values if not math.isnan(value)]
        return float(np.mean(known)) if known else math.nan


@dataclass(frozen=True, slots=True)
class Sweep:
    """All that a sweep found.

    Parameters
    ----------
    title
        The recipe's name.
    metrics
        What was measured.
    outcomes
        One a run.
    repeat
        The axis over which variants are averaged, if any.
    objective
        In a search, the metric whose value on the validation images was to be the best.
    logarithmic
        In a search, the keys of which the logarithm was searched.
    """

    title: str
    metrics: list[MetricInfo]
    outcomes: list[Outcome]
    repeat: str | None = None
    objective: MetricInfo | None = None
    logarithmic: Collection[str] = ()

    def rows(self) -> list[Row]:
        """Give the variants, each with its repetitions."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault(outcome.variant.group, []).append(outcome)
        rows = []
        for name, members in groups.items():
            measured = [member for member in members if member.means]
            rows.append(
                Row(
                    name,
                    [member.means for member in measured],
                    len(members),
                    [member.standings for member in measured],
                )
            )
        return rows

    def references(self) -> list[Row]:
        """Give the other models that were measured, where all variants agree on their numbers.

        Their data are then the same. Over repetitions, such as folds, they may differ; where they
        do not, one run stands for all.
        """
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            if outcome.means:
                groups.setdefault(outcome.variant.group, []).append(outcome)
        names = dict.fromkeys(name for outcome in self.outcomes for name in outcome.others)
        found = []
        for name in names:
            sets = [[o.others.get(name, {}) for o in members] for members in groups.values()]
            longest = max(sets, key=len)
            if all(same(numbers, longest[: len(numbers)]) for numbers in sets):
                steady = same(longest, longest[:1] * len(longest))
                found.append(Row(name, longest[:1] if steady else longest, len(longest)))
        return found

    def best(self, metric: MetricInfo) -> set[str]:
        """Name the variants that are best by a metric, ties included; none among one."""
        standings = {row.name: row.standing(metric.name) for row in self.rows()}
        known = {name: value for name, value in standings.items() if not math.isnan(value)}
        if len(known) < 2:
            return set()
        best = max(known.values()) if metric.higher_is_better else min(known.values())
        return {name for name, value in known.items() if value == best}

    def best_trial(self) -> Outcome | None:
        """Give the run that is best on the validation images; None if none was validated."""
        best = next(iter(self.ranked()), None)
        if self.objective is None or best is None or math.isnan(best.validated):
            return None
        return best

    def ranked(self) -> list[Outcome]:
        """Sort the runs of a search, the best on the validation images first."""
        if self.objective is None:
            return self.outcomes
        sign = -1 if self.objective.higher_is_better else 1
        return sorted(
            self.outcomes,
            key=lambda o: math.inf if math.isnan(o.validated) else sign * o.validated,
        )

    def missing(self) -> list[Outcome]:
        """List the runs that have no numbers."""
        return [outcome for outcome in self.outcomes if not outcome.means]


def same(first: Sequence[Numbers], second: Sequence[Numbers]) -> bool:
    """Tell whether two lists of numbers are the same to rounding; NaN is NaN."""
    return len(first) == len(second) and all(
        one.keys() == two.keys()
        and all(np.isclose(one[key], two[key], rtol=1e-5, equal_nan=True) for key in one)
        for one, two in zip(first, second, strict=True)
    )


def read_outcome(variant: Variant, run: Path, reason: str, validated: float = math.nan) -> Outcome:
    """Read what the evaluation of a variant's run found, or keep the reason why there is none."""
    if reason:
        return Outcome(variant, run, reason=reason, validated=validated)
    means: dict[str, float] = {}
    standings: dict[str, float] = {}
    others: dict[str, dict[str, float]] = {}
    for scale, path in tables_of(run).items():
        found = json.loads(path.read_text("utf-8"))
        *rest, own = found["models"]
        means |= _means(own, scale)
        for name, about in found["metrics"].items():
            standings[f"{name}{scale}"] = _standing(own, name, about["signed"])
        for other in rest:
            others.setdefault(other["model"], {}).update(_means(other, scale))
    return Outcome(variant, run, means, standings, others, validated=validated)


def tables_of(run: Path) -> dict[str, Path]:
    """Find the numbers on the test images, by what names their scale where there are several."""
    folder = run / "evaluation"
    if (folder / "table.json").is_file():
        return {"": folder / "table.json"}
    return {f" {path.parent.name}": path for path in sorted(folder.glob("x*/table.json"))}


def _means(model: Mapping[str, Any], scale: str) -> dict[str, float]:
    return {f"{name}{scale}": _number(value) for name, value in model["mean"].items()}


def _standing(model: Mapping[str, Any], metric: str, signed: bool) -> float:
    """Give the mean; of a signed metric the root mean square, from mean and scatter."""
    mean, count = _number(model["mean"][metric]), model["measured"][metric]
    if not signed or count == 0:
        return mean
    scatter = _number(model["scatter"][metric]) if count > 1 else 0.0
    return math.sqrt(mean**2 + scatter**2 * (count - 1) / count)


def _number(value: float | str | None) -> float:
    """Read what strict JSON has no number for: null is what could not be measured."""
    return math.nan if value is None else float(value)
