"""Stages of the generator that keep their weights: for good, or for a first part of training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch

from torch import nn

from srkit.errors import TrainingError
from srkit.interfaces import Generator
from srkit.recipe.parts import StartSpec
from srkit.recipe.values import Span


def frozen_stages(freeze: Mapping[str, Span], stages: Iterable[str]) -> dict[str, Span]:
    """Return how long each stage is frozen; the last pattern that matches a stage decides."""
    return {
        stage: span
        for stage in stages
        for span in [span for pattern, span in freeze.items() if fnmatch(stage, pattern)][-1:]
    }


class Freezing:
    """What of a network is frozen, as a pure function of the step.

    What is frozen for good is frozen at once, so that no optimiser is made for it. Parameters that
    train later stay among those that several processes share when they are set up. Reinitialised
    parameters always train.

    Parameters
    ----------
    generator
        The network.
    start
        Names the stages that are frozen, and for how long; None freezes nothing.
    """

    def __init__(self, generator: Generator, start: StartSpec | None) -> None:
        assert isinstance(generator, nn.Module)
        self._network = generator
        self._frozen: list[tuple[nn.Module, Span, list[nn.Parameter]]] = []
        if start is not None:
            stages = generator.stages()
            kept = {
                parameter
                for name, parameter in generator.named_parameters()
                if not any(fnmatch(name, pattern) for pattern in start.reinitialise)
            }
            for name, span in frozen_stages(start.frozen, stages).items():
                parameters = [each for each in stages[name].parameters() if each in kept]
                self._frozen.append((stages[name], span, parameters))
        self._still = [stage for stage, _, _ in self._frozen]
        for _, span, parameters in self._frozen:
            if span == "always":
                for parameter in parameters:
                    parameter.requires_grad_(False)

    def hold(self, step: int, steps_per_epoch: float) -> None:
        """Freeze the stages that are frozen at a step, and let the others train.

        Raises
        ------
        TrainingError
            If nothing is left to train.
        """
        self._still = []
        for stage, span, parameters in self._frozen:
            still = span == "always" or step < span.in_steps(steps_per_epoch)
            if still:
                self._still.append(stage)
            for parameter in parameters:
                parameter.requires_grad_(not still)
        if not any(parameter.requires_grad for parameter in self._network.parameters()):
            raise TrainingError(
                f"nothing is left to train at step {step}: every parameter is frozen; shorten "
                "start.freeze"
            )

    def keep_statistics(self) -> None:
        """Put frozen stages in evaluation mode, so that their statistics stay, too."""
        for stage in self._still:
            stage.eval()
