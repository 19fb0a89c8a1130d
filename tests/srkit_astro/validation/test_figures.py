from __future__ import annotations

from srkit_astro.validation.figures import _ends
from srkit_astro.validation.results import Row


def test_the_axis_leaves_out_the_faintest_detections() -> None:
    counts = {25.0: 2, 25.5: 60, 26.0: 36, 31.0: 1, 34.5: 1}
    rows: list[Row] = [
        {"bright": bright, "faint": bright + 0.5, "count": count}
        for bright, count in counts.items()
    ]
    assert _ends(rows) == (24.5, 27.0)
    assert _ends(rows[:1]) == (24.5, 26.0)
