"""Check optimisers, schedules of the learning rate, and trackers."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from srkit.interfaces import AveragingOptimiser, Optimiser, Schedule, Tracker
from srkit.interfaces._contract import require, require_component, require_factor
from srkit.interfaces.training import Setting
from srkit.testing._requirements import noise, require_finite, stated
from srkit.weights.checkpoints import pack_optimiser, settings_of, unpack_optimiser

#: Steps before a state is saved, and steps after it that are compared.
STEPS = (3, 12)


@stated
def check_optimiser(optimiser: Optimiser, /) -> None:
    """Check that an optimiser trains a network, and that it resumes exactly.

    Parameters
    ----------
    optimiser
        Small enough for a network of some hundred weights.

    Raises
    ------
    AssertionError
        If it does not return a ``torch.optim.Optimizer``, changes no weight, or makes weights that
        are not finite; its state cannot be saved; the steps after its state was saved and
        loaded into a new optimiser differ from those without; or one that averages weights does
        not restore those that are trained.
    """
    require_component(optimiser, "optimisers")
    network = _network()
    before, trained = _weights(network), optimiser(list(network.parameters()))
    settings = settings_of(trained)
    for step in range(STEPS[0]):
        _step(network, trained, step)
    for key, weight in network.named_parameters():
        require_finite(weight, f"'{key}' after {STEPS[0]} steps")
    tensors, rest = pack_optimiser(trained, settings)
    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    again = _network()
    again.load_state_dict(network.state_dict())
    resumed = optimiser(list(again.parameters()))
    unpack_optimiser(resumed, tensors, json.loads(json.dumps(rest)))
    for step in range(STEPS[0], sum(STEPS)):
        _step(network, trained, step)
        _step(again, resumed, step)
        found = _weights(again)
        same = all(torch.equal(weight, found[key]) for key, weight in _weights(network).items())
        require(same, f"step {step} differs after the state was saved and loaded")
    changed = any(not torch.equal(weight, before[key]) for key, weight in _weights(network).items())
    require(changed, f"no weight changes in {sum(STEPS)} steps")
    if isinstance(trained, AveragingOptimiser):
        _check_averages(network, trained)


def _check_averages(network: nn.Module, optimiser: AveragingOptimiser) -> None:
    """Check that an optimiser averages weights and restores those that are trained."""
    trained = _weights(network)
    optimiser.eval()
    averaged = _weights(network)
    optimiser.train()
    require(
        any(not torch.equal(weight, averaged[key]) for key, weight in trained.items()),
        "eval() must replace the weights by averaged ones",
    )
    require(
        all(torch.allclose(weight, trained[key]) for key, weight in _weights(network).items()),
        "train() must restore the weights that eval() replaced",
    )


def _network() -> nn.Sequential:
    """Return a network with the same weights each time."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(), nn.Conv2d(8, 3, 1))
    with torch.no_grad():
        for number, weight in enumerate(network.parameters()):
            weight.copy_(noise(*weight.shape, seed=number) / 2 - 0.25)
    return network


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {key: weight.detach().clone() for key, weight in network.named_parameters()}


def _step(network: nn.Module, optimiser: Optimizer, step: int) -> None:
    """Draw a noisy image, and let the optimiser step towards its restoration."""
    clean = noise(2, 3, 8, 8, seed=100)
    noisy = clean + noise(2, 3, 8, 8, seed=101 + step) / 10
    optimiser.zero_grad(set_to_none=True)
    loss: Any = nn.functional.mse_loss(network(noisy), clean)
    loss.backward()
    with _chance_of(step):
        optimiser.step()


@contextmanager
def _chance_of(step: int) -> Iterator[None]:
    """Let the global generators draw the same numbers at a step each time, as a run does."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.setstate(random.Random(step).getstate())
    np.random.set_state(np.random.RandomState(step).get_state())  # noqa: NPY002
    torch.set_rng_state(torch.Generator().manual_seed(step).get_state())
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        torch.set_rng_state(kept[2])


@stated
def check_schedule(schedule: Schedule, /) -> None:
    """Check that a schedule is a pure function of the step.

    Parameters
    ----------
    schedule
        It is called for 100 steps, in epochs of 10.

    Raises
    ------
    AssertionError
        If a factor is not a finite number from 0, all are 0, or a factor depends on the
        steps for which the schedule was called before.
    """
    factors = [schedule(step, 100, 10.0) for step in range(101)]
    for factor in factors:
        require_factor(factor)
    require(any(factors), "a schedule must not return 0 at all steps")
    order = list(range(101))
    random.Random(0).shuffle(order)
    for step in order:
        again = schedule(step, 100, 10.0)
        require(
            again == factors[step],
            f"a schedule must be a pure function of the step; at step {step} it returned "
            f"{factors[step]}, then {again}",
        )


@stated
def check_tracker(tracker: Tracker, /, folder: Path) -> None:
    """Check that a tracker records a run.

    Parameters
    ----------
    tracker
        It is started and finished twice, as for a run and its continuation.
    folder
        A temporary folder, as that of the run.

    Raises
    ------
    AssertionError
        If a method is missing or fails, or changes what it is given.
    """
    require_component(tracker, "trackers")
    settings: dict[str, Setting] = {"training.compile": False, "scale": 2, "losses.l1.weight": 0.5}
    values = {"train/total": 0.25, "train/loss/l1": 0.25, "validation/psnr": math.inf}
    given = (dict(settings), dict(values))
    for first in (1, 3):
        tracker.start("run", folder, settings)
        for step in (first, first + 1, first + 1):
            tracker.log(values, step)
        tracker.finish()
    require(given == (settings, values), "a tracker must not change what it is given")
