"""Optimisers, schedules of the learning rate, and trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import nn
from torch.optim import Optimizer

#: A setting of a run.
Setting = bool | int | float | str


class Optimiser(Protocol):
    """An optimiser with its options, which still lacks the parameters that it changes."""

    def __call__(self, parameters: Sequence[nn.Parameter], /) -> Optimizer:
        """Return torch's optimiser of the parameters of a network.

        Its state may consist of tensors, numbers, text, None, and lists and dictionaries of these,
        which checkpoints can hold. It needs no closure. The learning rate of each of its groups is
        multiplied by the schedule.
        """
        ...


@runtime_checkable
class AveragingOptimiser(Protocol):
    """An optimiser of torch that also averages weights, as schedule-free ones do.

    Networks are validated and saved with the averaged weights.
    """

    def eval(self) -> None:
        """Replace the weights that are trained by averaged ones."""
        ...

    def train(self) -> None:
        """Restore the weights that are trained."""
        ...


class Schedule(Protocol):
    """A schedule of the learning rate.

    It is a pure function of the step, so that a run that is resumed continues exactly.
    """

    def __call__(self, step: int, total: int, steps_per_epoch: float, /) -> float:
        """Return the factor of the learning rate.

        Parameters
        ----------
        step
            Steps done so far.
        total
            Steps of the whole run.
        steps_per_epoch
            Length of an epoch.
        """
        ...


class Tracker(Protocol):
    """Shows runs elsewhere, such as on a server that compares them.

    It is called in the main process only. A run goes without a tracker that fails after its start.
    """

    def start(self, name: str, folder: Path, settings: Mapping[str, Setting], /) -> None:
        """Begin to track a run.

        Parameters
        ----------
        name
            Name of the run's folder.
        folder
            The run folder.
        settings
            The complete recipe, by dotted key.

        Raises
        ------
        TrainingError
            If that is not possible; the run does not start.
        """
        ...

    def log(self, values: Mapping[str, float], step: int, /) -> None:
        """Record the values after a step, such as ``train/total`` or ``validation/psnr``.

        Steps do not decrease; some have values of the training and of the validation.
        """
        ...

    def finish(self) -> None:
        """End the tracking, also of a run that stopped by an error."""
        ...
