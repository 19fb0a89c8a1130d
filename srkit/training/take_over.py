"""What a run takes over from another run, beside the generator."""

from __future__ import annotations

from collections.abc import Sequence

from torch.optim.swa_utils import AveragedModel

from srkit.errors import WeightsError, innermost
from srkit.recipe.recipe import Recipe
from srkit.recipe.resume import changes, report
from srkit.training.turns import Turn
from srkit.weights.checkpoints import Checkpoint, unpack_optimiser
from srkit.weights.transfer import starting_checkpoint, warm_start

#: Keys that need not be reported as changed.
OWN = ("description", "name", "needs", "sample", "start")


def take_over(turns: Sequence[Turn], average: AveragedModel | None, recipe: Recipe) -> list[str]:
    """Take over what `start.take` asks for.

    Parameters
    ----------
    turns, average
        Of the new run, whose generator has its starting weights already.
    recipe
        The recipe of the new run.

    Returns
    -------
    list of str
        Lines for the user: what was taken over, and which settings differ from those of the run.

    Raises
    ------
    WeightsError
        If a network or an optimiser is another one than that of the run.
    """
    start = recipe.start
    if start is None or start.take == "generator":
        return []
    checkpoint, source = starting_checkpoint(start.weights), start.weights
    groups = checkpoint.groups
    known = [turn for turn in turns if turn.name in groups]
    taken = [turn.name for turn in known]
    for turn in known:
        if turn.name != "generator":
            trained = groups.get(f"trained.{turn.name}", {}) if start.take == "all" else {}
            remedy = f"change the options of the {turn.name}, or use start.take=generator"
            weights = {**groups[turn.name], **trained}
            warm_start(turn.network, weights, source, remedy=remedy)
        if start.take == "all":
            _take_optimiser(turn, checkpoint, source)
    if average is not None and "ema" in groups:
        warm_start(average.module, groups["ema"], source, start.reinitialise)
        average.n_averaged.copy_(groups["ema_count"]["updates"])
        taken.append("ema")
    if start.take == "all":
        taken.append("optimisers")
    lines = [f"start: took over from {source}: {', '.join(taken)}"]
    lines += [
        f"start: {source} has no {turn.name}; it starts untrained"
        for turn in turns
        if turn not in known
    ]
    return lines + report(changes(checkpoint.state["recipe"], recipe), OWN)


def _take_optimiser(turn: Turn, checkpoint: Checkpoint, source: str) -> None:
    """Load the state of an optimiser of the same kind and parameters."""
    before = checkpoint.state.get("trained", {}).get(turn.name, {})
    for key, names, remedy in (
        ("optimiser", "another optimiser", "the same one"),
        ("parameters", "other parameters", "start.freeze as it"),
    ):
        if before.get(key) != turn.identity[key]:
            raise WeightsError(
                f"start.take: {source} trained the {turn.name} with {names}; use {remedy}, or "
                "start.take=networks"
            )
    try:
        tensors = checkpoint.groups.get(f"optimiser.{turn.name}", {})
        unpack_optimiser(turn.optimiser, tensors, checkpoint.state["optimisers"][turn.name])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{source}: not the complete state of a run ({innermost(error)}); use another "
            "checkpoint"
        ) from error
