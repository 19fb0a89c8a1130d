"""An optimiser, and a schedule of the learning rate."""

from __future__ import annotations

from functools import partial

from pydantic import PositiveFloat
from torch import optim

from srkit.interfaces import Optimiser


def nesterov(*, lr: PositiveFloat = 0.01) -> Optimiser:
    """Gradient descent with the momentum of Nesterov.

    Parameters
    ----------
    lr
        Learning rate before the schedule.
    """
    return partial(optim.SGD, lr=lr, momentum=0.9, nesterov=True)


class Power:
    """A polynomial decrease to 0.

    Parameters
    ----------
    power
        1 is linear.
    """

    def __init__(self, *, power: PositiveFloat = 2.0) -> None:
        self.power = power

    def __call__(self, step: int, total: int, steps_per_epoch: float) -> float:
        """Return the factor of the learning rate."""
        return float(max(0.0, 1 - step / total) ** self.power)
