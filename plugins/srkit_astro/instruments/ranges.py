"""Options that are a number, or a range from which a value is drawn for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import AfterValidator, Field, FiniteFloat
from torch import Tensor

Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]


def ordered(ends: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range whose lower end comes last."""
    if ends[0] > ends[1]:
        raise ValueError(f"got {list(ends)}; expected the lower end of the range first")
    return ends


def ascending(ends: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range that is empty, or whose lower end comes last."""
    if ends[0] >= ends[1]:
        raise ValueError(f"got {list(ends)}; expected the lower end of the range first")
    return ends


#: A number, or the two ends of a range.
PositiveRange = Positive | Annotated[tuple[Positive, Positive], AfterValidator(ordered)]
NonNegativeRange = NonNegative | Annotated[tuple[NonNegative, NonNegative], AfterValidator(ordered)]


def ends(value: float | tuple[float, float]) -> tuple[float, float]:
    """Return the lower and the upper end, which are equal for a number."""
    return value if isinstance(value, tuple) else (value, value)


def draw(value: float | tuple[float, float], sources: Sequence[torch.Generator]) -> Tensor:
    """Draw uniformly between the ends of a range, once from each random generator.

    Returns
    -------
    Tensor
        ``(N,)`` float64; for a single number, ``(1,)``, and nothing is drawn.
    """
    low, high = ends(value)
    if not isinstance(value, tuple):
        return torch.tensor([low], dtype=torch.float64)
    drawn = [torch.rand((), dtype=torch.float64, generator=source) for source in sources]
    return low + (high - low) * torch.stack(drawn)
