"""Options that are a number, or a range from which each sample draws its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import AfterValidator, Field, FiniteFloat
from torch import Tensor

Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]


def ordered(ends: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range whose ends are the wrong way round."""
    if ends[0] > ends[1]:
        raise ValueError(f"got {list(ends)}; expected the lower end of the range first")
    return ends


#: A number, or the two ends of a range.
PositiveRange = Positive | Annotated[tuple[Positive, Positive], AfterValidator(ordered)]
NonNegativeRange = NonNegative | Annotated[tuple[NonNegative, NonNegative], AfterValidator(ordered)]


def ends(value: float | tuple[float, float]) -> tuple[float, float]:
    """Lower and upper end; a number is both."""
    return value if isinstance(value, tuple) else (value, value)


def draw(value: float | tuple[float, float], sources: Sequence[torch.Generator]) -> Tensor:
    """Draw uniformly between the ends of a range, once for each source.

    Returns
    -------
    Tensor
        ``(N,)`` float64; ``(1,)`` where the value is one number, for which nothing is drawn.
    """
    low, high = ends(value)
    if not isinstance(value, tuple):
        return torch.tensor([low], dtype=torch.float64)
    drawn = [torch.rand((), dtype=torch.float64, generator=source) for source in sources]
    return low + (high - low) * torch.stack(drawn)
