"""A list of degradations in a recipe, applied one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from srkit.components.crashes import blaming
from srkit.components.registry import Component
from srkit.functional.resizing import resized_side
from srkit.interfaces import Degradation
from srkit.interfaces._contract import require_lr, unchanged


class Chain:
    """Degradations that are applied in order, as one degradation.

    Parameters
    ----------
    steps
        At least one.
    origins
        What the steps were built from; None where it is unknown.

    Attributes
    ----------
    factor
        The product of the steps' factors.
    pixel_scale
        Side of an HR pixel in arcsec that the first step that depends on it expects, or None.
    """

    def __init__(
        self, steps: Sequence[Degradation], origins: Sequence[Component | None] = ()
    ) -> None:
        self.steps = tuple(steps)
        self.origins = tuple(origins) or (None,) * len(self.steps)
        self.factor = math.prod(step.factor for step in steps)
        self.pixel_scale = self._pixel_scale()

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Degrade images, ``(N, C, H, W)``; each step has its own seeds."""
        images = hr
        for number, (step, origin) in enumerate(zip(self.steps, self.origins, strict=True)):
            with blaming(origin):
                with unchanged("a degradation", images):
                    degraded = step(images, step_seeds(seeds, number))
                require_lr(degraded, images, step.factor)
            images = degraded
        # Sides are rounded up at each step, which may leave an extra pixel at the far end.
        height, width = (resized_side(side, self.factor) for side in hr.shape[-2:])
        return images[..., :height, :width]

    def variance(self, lr: Tensor, seeds: Sequence[int]) -> Tensor | None:
        """Return the variance of the noise of the last step; None if an earlier step adds noise."""
        *earlier, last = self.steps
        variance_of: Callable[..., Tensor | None] | None = getattr(last, "variance", None)
        if variance_of is None or any(hasattr(step, "variance") for step in earlier):
            return None
        return variance_of(lr, step_seeds(seeds, len(earlier)))

    def _pixel_scale(self) -> float | None:
        shrunk = 1.0
        for step in self.steps:
            found: float | None = getattr(step, "pixel_scale", None)
            if found is not None:
                return found * shrunk
            shrunk *= step.factor
        return None


def join(steps: Sequence[Degradation]) -> Degradation:
    """Chain the steps of a recipe; a single step is returned as it is."""
    return Chain(steps) if len(steps) > 1 else steps[0]


def step_seeds(seeds: Sequence[int], number: int) -> list[int]:
    """Derive the seeds of a step; those of the first step are unchanged."""
    if number == 0:
        return list(seeds)
    return [
        int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> np.uint64(1))
        for seed in seeds
    ]
