"""Recalibration of predicted standard deviations on the validation data, after the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.device import autocast, evaluating
from srkit.assembly.uncertainty import pulls_by_key
from srkit.data.scales import set_scale
from srkit.evaluation.evaluator import Evaluator
from srkit.interfaces.view import View
from srkit.recipe.trees import below
from srkit.training.run import Run
from srkit.weights.checkpoints import load, save
from srkit.weights.transfer import warm_start

#: Largest number of pixels on which the correction is fitted, evenly over the images.
PIXELS = 2_000_000


def recalibrate(run: Run, path: Path) -> str | None:
    """Fit the correction of the variance head on the first validation set, and keep it.

    The networks of the run are replaced by those of the checkpoint.

    Parameters
    ----------
    run
        A run that has ended.
    path
        The checkpoint that will be used.

    Returns
    -------
    str or None
        A line for the user; None if the run trained no head.
    """
    head, generator = run.assembly.uncertainty, run.assembly.generator
    if head is None or not isinstance(generator, nn.Module):
        return None
    place = next(iter(below(run.assembly.data, "validation")), None)
    if place is None:
        return "uncertainty: not recalibrated, since the recipe has no data.validation"
    checkpoint = load(path)
    groups = checkpoint.groups
    warm_start(generator, groups.get("ema", groups["generator"]), str(path))
    warm_start(head, groups["uncertainty"], str(path))
    with torch.no_grad(), evaluating(run.assembly):
        found = [_pulls(run, part, place) for part in run.assembly.by_scale.values()]
    keys, pulls = np.concatenate(found, axis=1)
    head.fit_correction(keys, pulls)
    save(path, {**groups, "uncertainty": head.state_dict()}, checkpoint.state)
    low, high = (head.corrections / 2).exp().aminmax()
    return (
        f"uncertainty: recalibrated on {len(keys)} pixels of data.{place}: standard deviations "
        f"times {float(low):.3g} to {float(high):.3g}, by signal-to-noise"
    )


def _pulls(
    run: Run, assembly: Assembly, place: str
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return keys and pulls of random pixels of the validation images, ``(2, P)``."""
    evaluator = Evaluator(assembly, assembly.data[place], run.process)
    count = PIXELS // len(evaluator.dataset) + 1
    chosen = []
    for batch in evaluator.batches(range(len(evaluator.dataset))):
        set_scale(assembly.generator, assembly.scale)
        view = View.of(batch, assembly.stretch)
        with autocast(assembly, batch.hr.device):
            pixels = pulls_by_key(assembly, view).flatten(2).float().cpu().numpy()
        for image, seed in enumerate(batch.seeds):
            order = np.random.default_rng(seed).permutation(pixels.shape[2])[:count]
            chosen.append(pixels[:, image, order])
    return np.concatenate(chosen, axis=1)
