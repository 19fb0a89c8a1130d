"""Measured in a process of its own: in this one others may have left freed memory to reuse."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MB = 2**20
SCRIPT = """
import json, torch
from srkit.system.memory import PeakMemory

MB, cpu = 2**20, torch.device("cpu")
before = torch.ones(100 * MB // 4)
with PeakMemory(cpu) as nothing:
    pass
with PeakMemory(cpu) as within:
    for _ in range(3):
        taken = torch.ones(100 * MB // 4)
        del taken
since = PeakMemory(cpu)
weights = torch.ones(60 * MB // 4)
with since:
    pass
assert float(before.sum() + weights.sum()) > 0
print(json.dumps([nothing.peak, within.peak, since.peak]))
"""


@pytest.fixture(scope="module")
def peaks() -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    found: list[int] = json.loads(done.stdout)
    return found


def test_what_was_there_before_does_not_count(peaks: list[int]) -> None:
    assert peaks[0] < 20 * MB


def test_measures_what_was_taken_and_freed_within(peaks: list[int]) -> None:
    assert 80 * MB < peaks[1] < 160 * MB


def test_counts_from_where_it_was_made(peaks: list[int]) -> None:
    assert 45 * MB < peaks[2] < 120 * MB
