"""Made-up outcomes, for the tests of what follows from a sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from srkit.recipe.variants import Variant
from srkit.report.metric_info import MetricInfo
from srkit.studies.sweeps.results import Outcome

PSNR = MetricInfo("psnr", "dB", higher_is_better=True, protocol="peak = 1")
SHIFT = MetricInfo("shift", "mas", higher_is_better=False, protocol="SR - HR", signed=True)


def make_outcome(
    group: str,
    number: int,
    *,
    others: Mapping[str, Mapping[str, float]] | None = None,
    standings: Mapping[str, float] | None = None,
    validated: float = math.nan,
    changes: Mapping[str, float] | None = None,
    **means: float,
) -> Outcome:
    """Give the outcome of a variant's repetition, ranked by the sizes of its means."""
    name = f"{group}_seed-{number}"
    variant = Variant(name, group, {"net": group, "seed": f"seed-{number}"}, changes or {})
    ranked = {key: abs(value) for key, value in means.items()} | dict(standings or {})
    run = Path("sweep") / "variants" / name
    return Outcome(variant, run, means, ranked, others or {}, validated=validated)
