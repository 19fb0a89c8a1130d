"""One network for several scales: each step of training takes one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from srkit.interfaces import MultiScale


def scale_of_step(scales: Sequence[int], seed: int, step: int) -> int:
    """Draw the scale of a step, all at even odds, as a pure function of seed and step.

    So all processes agree, and a resumed run goes on with the same scales.
    """
    if len(scales) == 1:
        return scales[0]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(step,)))
    return scales[int(rng.integers(len(scales)))]


def set_scale(generator: object, scale: int) -> None:
    """Let a network of several scales restore at one of them; others have only theirs."""
    if isinstance(generator, MultiScale):
        generator.scale = scale


def list_scales(scales: Sequence[int]) -> str:
    """Write scales for an error: ``scale 2``, ``scales 2, 3 and 4``."""
    *others, last = map(str, scales)
    return f"scales {', '.join(others)} and {last}" if others else f"scale {last}"
