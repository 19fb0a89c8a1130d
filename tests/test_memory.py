from __future__ import annotations

import torch

from srkit.memory import PeakMemory

MB = 2**20


def test_measures_what_was_taken_and_freed_within() -> None:
    with PeakMemory(torch.device("cpu")) as memory:
        for _ in range(3):
            taken = torch.ones(100 * MB // 4)
            del taken
    assert 80 * MB < memory.peak < 160 * MB


def test_counts_from_where_it_was_made() -> None:
    memory = PeakMemory(torch.device("cpu"))
    weights = torch.ones(60 * MB // 4)
    with memory:
        pass
    assert weights.sum() > 0
    assert 45 * MB < memory.peak < 120 * MB


def test_what_was_there_before_does_not_count() -> None:
    before = torch.ones(100 * MB // 4)
    with PeakMemory(torch.device("cpu")) as memory:
        pass
    assert before.sum() > 0
    assert memory.peak < 20 * MB
