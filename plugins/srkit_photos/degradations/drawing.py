"""Random degradations of photographs: the steps of an image are drawn from its seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import AfterValidator
from torch import Tensor
from torch.nn import functional as F

from srkit.functional import resized_side
from srkit_photos.degradations.steps import Step, take_all


def _rising(given: tuple[Any, Any]) -> tuple[Any, Any]:
    if not given[0] <= given[1]:
        raise ValueError(f"got {list(given)}; expected the lower number first")
    return given


#: Validates two numbers of a recipe as the ends of a range.
Rising = AfterValidator(_rising)


class Drawn(ABC):
    """A degradation of photographs in [0, 1] by steps drawn for each image.

    Attributes
    ----------
    factor
        Side of LR over side of HR.
    """

    factor: float

    @abstractmethod
    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Sequence[Step]:
        """Draw the steps for an image of this height and width."""

    def programme(self, seed: int, size: tuple[int, int]) -> Sequence[Step]:
        """Draw the steps for the image with a seed."""
        return self.draw(np.random.default_rng(seed), size)

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Degrade ``(N, C, H, W)`` images in [0, 1], each independently of the others."""
        height, width = hr.shape[-2:]
        programmes = [self.programme(seed, (height, width)) for seed in seeds]
        return take_all(hr.float(), programmes).to(hr.dtype)


class DrawnToScale(Drawn):
    """A random degradation whose LR has 1 / scale of HR's sides.

    If a side of HR is not a multiple of the scale, its last row or column is repeated up to one, so
    that the pixels of LR keep their positions.
    """

    def __init__(self, scale: int) -> None:
        self.factor, self.scale = 1 / scale, scale

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Degrade ``(N, C, H, W)`` images in [0, 1] to ``ceil(side / scale)``."""
        rows, columns = (-side % self.scale for side in hr.shape[-2:])
        whole = F.pad(hr, (0, columns, 0, rows), mode="replicate") if rows or columns else hr
        return super().__call__(whole, seeds)

    def lr_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return LR's height and width."""
        height, width = (resized_side(side, self.factor) for side in size)
        return height, width


def seed_for_noise(rng: np.random.Generator) -> int:
    """Draw a seed for noise."""
    return int(rng.integers(2**63))


def odds(rng: np.random.Generator, probability: float) -> bool:
    """Return True with a given probability."""
    return bool(rng.random() < probability)
