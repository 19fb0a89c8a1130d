"""The weights that training starts from."""

from __future__ import annotations

from fnmatch import filter as matching

from torch import nn

from srkit.assembly.variance_head import VarianceHead
from srkit.errors import WeightsError
from srkit.interfaces import Discriminator, Generator
from srkit.recipe.recipe import Recipe
from srkit.weights.transfer import (
    starting_checkpoint,
    starting_head,
    starting_weights,
    trained_discriminator,
    warm_start,
)


def load_starting_weights(generator: Generator, recipe: Recipe) -> None:
    """Load the starting weights of a recipe.

    Parameters
    ----------
    generator
        Changed in place.
    recipe
        Its `start` says what to load.
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
    if recipe.start.take == "generator":
        tensors = starting_weights(given, generator)
    else:
        groups = starting_checkpoint(given).groups
        trained = groups.get("trained.generator", {}) if recipe.start.take == "all" else {}
        tensors = {**groups["generator"], **trained}
    warm_start(generator, tensors, given, patterns)


def load_discriminator(discriminator: Discriminator | None, given: str | None) -> None:
    """Load trained weights into a discriminator, if a recipe names some.

    Raises
    ------
    WeightsError
        If there are none, or they do not fit.
    """
    if given is not None and isinstance(discriminator, nn.Module):
        remedy = "change the discriminator's options, or the weights"
        tensors = trained_discriminator(given, discriminator)
        warm_start(discriminator, tensors, given, remedy=remedy)


def load_starting_head(head: VarianceHead, given: str) -> str:
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
