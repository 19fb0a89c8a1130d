"""Stages of the generator that keep their weights: for good, or for a first stretch of training."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from srkit.assembly.start import frozen_stages, kept_parameters
from srkit.errors import TrainingError
from srkit.interfaces import Generator
from srkit.recipe.parts import StartSpec
from srkit.recipe.values import Span


@dataclass(slots=True)
class Freezing:
    """What of a network is frozen, step by step: a pure function of the step.

    Several processes keep a parameter that will train later among those they share, so that it
    is still one that can be trained when they are set up.

    Parameters
    ----------
    network
        The generator.
    spans, stages
        How long each frozen stage is frozen, and the stage, by its name.
    parameters
        Those of each stage that do not start afresh.
    """

    network: nn.Module
    spans: dict[str, Span]
    stages: dict[str, nn.Module]
    parameters: dict[str, list[nn.Parameter]]
    still: list[nn.Module] = field(init=False)

    @classmethod
    def of(cls, generator: Generator, start: StartSpec | None) -> Freezing:
        """Read what a recipe freezes."""
        assert isinstance(generator, nn.Module)
        if start is None:
            return cls(generator, {}, {}, {})
        stages = generator.stages()
        spans = frozen_stages(start.frozen, stages)
        kept = {name: kept_parameters(generator, stages[name], start) for name in spans}
        return cls(generator, spans, {name: stages[name] for name in spans}, kept)

    def __post_init__(self) -> None:
        self.still = list(self.stages.values())

    def hold(self, step: int, steps_per_epoch: float) -> None:
        """Freeze what is frozen at a step, and nothing else of what is frozen at any.

        Raises
        ------
        TrainingError
            If nothing is left to train.
        """
        frozen = {
            name: span == "always" or step < span.in_steps(steps_per_epoch)
            for name, span in self.spans.items()
        }
        for name, holds in frozen.items():
            for parameter in self.parameters[name]:
                parameter.requires_grad_(not holds)
        self.still = [self.stages[name] for name, holds in frozen.items() if holds]
        if not any(parameter.requires_grad for parameter in self.network.parameters()):
            raise TrainingError(
                f"nothing is left to train at step {step}: every parameter is frozen; shorten "
                "start.freeze"
            )

    def settle(self) -> None:
        """Keep the statistics of frozen stages, too."""
        for stage in self.still:
            stage.eval()
