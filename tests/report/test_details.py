"""Which images and squares are shown."""

from __future__ import annotations

from srkit.report._details import even_choice


def test_even_choice_spans_the_set() -> None:
    assert even_choice(100, 4) == [0, 33, 66, 99]
    assert even_choice(2, 4) == [0, 1]
    assert even_choice(1, 4) == [0]
