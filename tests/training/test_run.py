"""The state of a run."""

from __future__ import annotations

import pytest

from srkit.training.run import Best


@pytest.mark.parametrize(
    ("higher", "values", "kept"),
    [(True, [1.0, 3.0, 2.0, 3.0], (3.0, 2)), (False, [1.0, float("nan"), 0.5], (0.5, 3))],
)
def test_of_equal_values_the_first_is_the_best(
    higher: bool, values: list[float], kept: tuple[float, int]
) -> None:
    best = Best("metric", "validation", higher)
    for step, value in enumerate(values, start=1):
        best.beaten_by(value, step)
    assert (best.value, best.step) == kept
