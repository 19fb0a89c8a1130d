"""Synthetic outcomes of runs, and runs in this process, for the tests of sweeps."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from srkit.cli import main
from srkit.recipe.variants import Variant
from srkit.report._metric_info import MetricInfo
from srkit.studies.sweeps.results import Outcome
from srkit.system.processes.children import Job

PSNR = MetricInfo("psnr", "dB", higher_is_better=True, protocol="peak = 1")
SHIFT = MetricInfo("shift", "mas", higher_is_better=False, protocol="SR - HR", signed=True)


def make_outcome(
    group: str,
    number: int,
    *,
    others: Mapping[str, Mapping[str, float]] | None = None,
    scores: Mapping[str, float] | None = None,
    validated: float = math.nan,
    changes: Mapping[str, float] | None = None,
    parameters: int = 0,
    **means: float,
) -> Outcome:
    """Return the outcome of a repetition; by default, its scores are the absolute means."""
    name = f"{group}_seed-{number}"
    variant = Variant(name, group, {"net": group, "seed": f"seed-{number}"}, changes or {})
    ranked = {key: abs(value) for key, value in means.items()} | dict(scores or {})
    run = Path("sweep") / "variants" / name
    given = variant, run, means, ranked, others or {}
    return Outcome(*given, validated=validated, parameters=parameters)


def run_jobs_here(
    jobs: Iterator[Job],
    processes: int,
    *,
    ended: Callable[[Job, int], None],
    watch: Callable[[list[Job]], None],
) -> int:
    """Run jobs in this process, which saves the start of a process for each."""
    for job in jobs:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        with (
            job.output.open("w") as output,
            redirect_stdout(output),
            redirect_stderr(output),
            patch.object(sys, "argv", ["srkit", *job.arguments]),
        ):
            try:
                main()
                status = 0
            except SystemExit as stopped:
                status = stopped.code if isinstance(stopped.code, int) else 0
        watch([job])
        ended(job, status)
    return 0
