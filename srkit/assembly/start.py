"""The weights that training starts from: loaded, reinitialised in part, frozen in part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import filter as matching
from fnmatch import fnmatch

from torch import nn

from srkit.assembly.variance_head import VarianceHead
from srkit.errors import WeightsError
from srkit.interfaces import Generator
from srkit.recipe.parts import StartSpec
from srkit.recipe.recipe import Recipe
from srkit.recipe.values import Span
from srkit.weights.checkpoints import starting_head, starting_weights, warm_start


def frozen_stages(freeze: Mapping[str, Span], stages: Iterable[str]) -> dict[str, Span]:
    """Return how long each stage is frozen; the last pattern that matches a stage decides."""
    return {
        stage: span
        for stage in stages
        for span in [span for pattern, span in freeze.items() if fnmatch(stage, pattern)][-1:]
    }


def freeze(generator: Generator, start: StartSpec) -> None:
    """Freeze the stages that are frozen for good; reinitialised parameters train all the same."""
    stages = generator.stages()
    for name, span in frozen_stages(start.frozen, stages).items():
        if span == "always":
            for parameter in kept_parameters(generator, stages[name], start):
                parameter.requires_grad_(False)


def kept_parameters(generator: Generator, stage: nn.Module, start: StartSpec) -> list[nn.Parameter]:
    """Return the parameters of a stage that are not reinitialised."""
    assert isinstance(generator, nn.Module)
    own = {id(parameter) for parameter in stage.parameters()}
    return [
        parameter
        for name, parameter in generator.named_parameters()
        if id(parameter) in own and not any(fnmatch(name, p) for p in start.reinitialise)
    ]


def begin_from(generator: Generator, recipe: Recipe, *, fresh_only: bool = False) -> None:
    """Load the recipe's starting weights and freeze what it freezes for good.

    Parameters
    ----------
    generator
        Changed in place.
    recipe
        Its `start` says what to load.
    fresh_only
        Only freeze, because a checkpoint will be loaded.
    """
    assert recipe.start is not None and isinstance(generator, nn.Module)
    given, patterns = recipe.start.weights, recipe.start.reinitialise
    for pattern in patterns:
        if not matching(generator.state_dict(), pattern):
            names = ", ".join(sorted({key.partition(".")[0] for key in generator.state_dict()}))
            raise WeightsError(
                f"start.reinitialise: '{pattern}' matches no weight of the generator; their names "
                f"begin with {names}"
            )
    tensors = generator.state_dict() if fresh_only else starting_weights(given, generator)
    warm_start(generator, tensors, given, patterns)
    freeze(generator, recipe.start)


def begin_head_from(head: VarianceHead, given: str) -> str:
    """Load the variance head of the starting weights, and return a note on whether they have one.

    Raises
    ------
    WeightsError
        If its number of features differs.
    """
    tensors = starting_head(given)
    if tensors is None:
        return f"uncertainty: {given} has no head that predicts the variance; it starts untrained"
    features = len(tensors["tail.weight"][0])
    if features != head.features:
        raise WeightsError(
            f"{given}: its head that predicts the variance has {features} features, not "
            f"{head.features}; set uncertainty.features={features}"
        )
    warm_start(head, tensors, given)
    return f"uncertainty: starts from the head of {given}"
