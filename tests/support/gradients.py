"""Compare a loss and its gradient with an independent computation in double precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

#: Step of the differences, far above rounding in double precision.
STEP = 1e-6


def check_gradient(
    loss: Callable[[Tensor], Tensor],
    reference: Callable[[np.ndarray], float],
    sr: Tensor,
    *,
    accuracy: float = 1e-5,
) -> None:
    """Check the value of a loss, and its slope along a random direction by differences."""
    start = sr.clone().requires_grad_()
    value = loss(start)
    (slope,) = torch.autograd.grad(value, start)
    images = sr.double().numpy()
    direction = np.random.default_rng(1).normal(size=images.shape)
    assert value.item() == pytest.approx(reference(images), rel=accuracy, abs=accuracy)
    rise = reference(images + STEP * direction) - reference(images - STEP * direction)
    found = (slope.double().numpy() * direction).sum()
    assert found == pytest.approx(rise / (2 * STEP), rel=1e-3)
