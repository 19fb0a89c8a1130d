"""Scales of a network that is trained at several of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from srkit.interfaces import MultiScale


def scale_of_step(scales: Sequence[int], seed: int, step: int) -> int:
    """Draw the scale of a step uniformly, as a pure function of seed and step.

    All processes then agree, and a resumed run continues with the same scales.
    """
    if len(scales) == 1:
        return scales[0]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(step,)))
    return scales[int(rng.integers(len(scales)))]


def set_scale(generator: object, scale: int) -> None:
    """Set the scale of a network that has several; other networks stay as they are."""
    if isinstance(generator, MultiScale):
        generator.scale = scale


def smallest_above(scales: Sequence[int], wanted: float) -> int:
    """Choose the smallest scale that is not below the wanted one, else the largest."""
    return min((scale for scale in scales if scale >= wanted), default=max(scales))


def list_scales(scales: Sequence[int]) -> str:
    """Format scales for a message: ``scale 2``, ``scales 2, 3 and 4``."""
    *others, last = map(str, scales)
    return f"scales {', '.join(others)} and {last}" if others else f"scale {last}"
