"""The training loop.

In each step every turn sums its terms and computes gradients; then each clips them and its
optimiser steps. All randomness is a pure function of the seed and the step, so that a resumed run
continues bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from rich.console import Console
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from srkit.assembly.assembly import Assembly
from srkit.assembly.device import autocast, evaluating, prepare
from srkit.data.batches import training_batches
from srkit.data.scales import scale_of_step, set_scale
from srkit.errors import DataError, SrkitError
from srkit.evaluation.curves import write_curves
from srkit.evaluation.evaluator import Evaluator, metric_infos
from srkit.evaluation.rendering import render_pictures
from srkit.evaluation.restorers import baseline, network
from srkit.evaluation.results import Evaluation
from srkit.functional._lr_statistics import lr_statistics
from srkit.interfaces import Batch
from srkit.interfaces._contract import require_factor
from srkit.interfaces.quantity import Quantity
from srkit.interfaces.view import View
from srkit.models.data_flow import trace_stages, weighted_layers
from srkit.recipe.trees import below, flatten
from srkit.report.writer import ReportWriter
from srkit.system.cores import hold_cores
from srkit.system.precision import rounding
from srkit.system.processes.children import first_process
from srkit.system.processes.signals import deferred_signals
from srkit.system.processes.workers import killed_workers_explained
from srkit.training.monitor import Monitor, read_records
from srkit.training.recalibration import recalibrate
from srkit.training.run import Run, start
from srkit.training.run_folder import only_run
from srkit.training.turns import Restored, Turn
from srkit.training.views import view_in_training

#: Keys of a recipe that are not settings by which runs are compared.
NO_SETTINGS = {"description", "sample"}

#: What the error says after a process that loads data was killed.
KILLED = (
    "the last checkpoint is kept. Lower training.workers, the crop or the batch size, and continue "
    "with --resume"
)

#: Number of LR images whose level, noise and values are recorded.
SEEN = 1000
#: Side in pixels of the LR image on which the graph of the network is drawn.
GRAPH_SIDE = 16


class Stopped(Exception):  # noqa: N818 - not an error: the user asked for it
    """The run was stopped by a signal, after its state was saved."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number
        super().__init__(f"stopped at step {step}, state saved; continue with --resume")


def train(
    assembly: Assembly,
    folder: Path,
    *,
    source: str,
    console: Console,
    resume: bool = False,
    allow_changed_data: bool = False,
) -> Path:
    """Train a recipe.

    Parameters
    ----------
    assembly
        The components of the recipe, built with all its data sets.
    folder
        The run folder: recipe, versions, log, metrics, checkpoints, figures.
    source
        Names the recipe in errors.
    console
        Where to show progress.
    resume
        Continue from the last checkpoint in `folder`.
    allow_changed_data
        Continue even if files of the data were added, removed or replaced since the run started.

    Returns
    -------
    Path
        The best checkpoint, or the last if there are no validation data.

    Raises
    ------
    SrkitError
        For every problem that the user can fix; the last complete checkpoint is kept.
    Stopped
        After SIGINT or SIGTERM; the state is saved.
    """
    training = assembly.recipe.training
    with ExitStack() as stack:
        stack.enter_context(rounding(deterministic=training.deterministic, tf32=training.tf32))
        if first_process():
            stack.enter_context(only_run(folder))
        run = start(
            assembly, folder, source=source, resume=resume, allow_changed_data=allow_changed_data
        )
        if run.process.is_main_process:
            run.monitor = stack.enter_context(Monitor(folder, console, run.total, run.step))
            _introduce(run, run.monitor)
        run.signals = stack.enter_context(deferred_signals())
        stack.enter_context(killed_workers_explained(KILLED))
        loop(run)
        best = folder / "checkpoints" / "best.safetensors"
        used = best if best.is_file() else best.with_name("last.safetensors")
        if run.monitor is not None and (line := recalibrate(run, used)):
            run.monitor.say(line)
    if run.process.is_main_process:
        records = read_records(folder / "metrics.jsonl")
        write_curves(records, ReportWriter(folder / "figures"), metric_infos(run.assembly))
    return used


def _introduce(run: Run, monitor: Monitor) -> None:
    """Show the run, the notes of its data, its settings and its network."""
    monitor.say(run.title)
    for note in run.notes:
        monitor.say(note)
    for data in (*run.assembly.data.values(), *run.assembly.mixed_in.values()):
        for note in data.notes:
            monitor.say(note)
    settings = flatten(run.recipe.model_dump(mode="json", exclude_none=True, exclude=NO_SETTINGS))
    monitor.settings(settings)
    for name, tracker in run.assembly.trackers.items():
        with run.assembly.blamed(f"training.trackers.{name}"):
            monitor.track(name, tracker, settings)
    generator: Any = run.assembly.generator
    if generator is not None:
        with evaluating(run.assembly), torch.compiler.set_stance("force_eager"):
            lr = torch.zeros(1, generator.channels, GRAPH_SIDE, GRAPH_SIDE)
            lr = lr.to(run.process.device)
            monitor.graph(trace_stages(generator, weighted_layers(generator), lr))


def loop(run: Run) -> None:
    """Train from the step that the run has reached to its last."""
    training = run.recipe.training
    run.meter.clear(run.step)
    draws = run.assembly.draws(identified=bool(run.assembly.kept))
    batches = training_batches(draws, run.share, run.step, run.total, training.workers)
    while run.step < run.total and not run.exhausted:
        set_seed(_seed_of_step(run))
        set_learning_rates(run)
        run.assembly.set_weights(run.step, run.steps_per_epoch)
        for turn in run.turns:
            if turn.freezing is not None:
                turn.freezing.hold(run.step, run.steps_per_epoch)
        scale = scale_of_step(run.recipe.scales, run.recipe.seed, run.step)
        set_scale(run.assembly.generator, scale)
        parts = _read_step(run, batches)
        with hold_cores(run.process.device):
            _step(run, run.assembly.by_scale[scale], parts)
        run.step += 1
        run.meter.images += training.batch_size
        _after_step(run)


def _seed_of_step(run: Run) -> int:
    """Return a seed for all randomness of a step, so that no state has to be saved."""
    parts = [run.recipe.seed, run.step, run.process.process_index]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def set_learning_rates(run: Run) -> None:
    """Set the learning rate of every turn to the schedule at this step."""
    schedule = run.assembly.schedule
    assert schedule is not None
    with run.assembly.blamed("training.schedule"):
        factor = schedule(run.step, run.total, run.steps_per_epoch)
        require_factor(factor)
    for turn in run.turns:
        for group, settings in zip(turn.optimiser.param_groups, turn.settings, strict=True):
            group["lr"] = settings["lr"] * factor


def _read_step(run: Run, batches: Iterator[Batch]) -> list[Batch]:
    """Read all parts of a step; before an error is raised, the state is saved."""
    started = time.perf_counter()
    parts, problem = [], None
    try:
        parts = [next(batches) for _ in range(run.recipe.training.accumulate)]
    except SrkitError as error:
        problem = error
    if run.agree(problem is not None):
        if run.step:
            _save(run)
        raise problem or DataError("stopped because another process cannot read its data")
    run.meter.waited += time.perf_counter() - started
    return parts


def _step(run: Run, assembly: Assembly, parts: list[Batch]) -> None:
    """Compute the gradients of all parts of a step, and update all weights."""
    for number, batch in enumerate(parts, start=1):
        take_turns(run, assembly, batch, last=number == len(parts))
    for turn in run.turns:
        update(turn, run.recipe.training.clip)
    if run.average is not None:
        run.average.update_parameters(run.turns[0].network)


def take_turns(run: Run, assembly: Assembly, batch: Batch, *, last: bool) -> None:
    """Let every turn add its gradients for a part of a step.

    Parameters
    ----------
    run
        The run.
    assembly
        The components for the scale of this step.
    batch
        The part.
    last
        Whether it is the last one, after which the processes share their gradients.
    """
    batch = assembly.augmented(prepare(batch, assembly, run.process.device))
    run.quantity = with_lr(run.quantity or Quantity.of(batch), batch)
    average = None if run.average is None else run.average.module
    view = view_in_training(View.of(batch, assembly.stretch), assembly, average)
    restored: Restored | None = None
    for turn in run.turns:
        with ExitStack() as stack:
            stack.enter_context(turn.alone(run.turns))
            if not last and isinstance(turn.wrapped, DistributedDataParallel):
                stack.enter_context(turn.wrapped.no_sync())
            with autocast(assembly, run.process.device):
                terms, restored = turn.compute(view, restored)
            loss = torch.stack([term.float() for term in terms.values()]).sum()
            scaled: Any = turn.scaler.scale(loss / run.recipe.training.accumulate)
            scaled.backward()
        run.meter.add(terms, leading=turn is run.turns[0])


def with_lr(quantity: Quantity, batch: Batch) -> Quantity:
    """Record what the LR images of a batch are like, until `SEEN` are known.

    Only images in a physical unit have a level and a noise that other images should have, too.
    """
    known = quantity.lr
    if not quantity.unit or batch.lr is None or (known is not None and known.images >= SEEN):
        return quantity
    found = lr_statistics(batch.lr)
    return replace(quantity, lr=found if known is None else known.merged(found))


def update(turn: Turn, clip: float | None) -> None:
    """Clip the gradients of all parts of a step, and let the optimiser step."""
    if clip is not None:
        turn.scaler.unscale_(turn.optimiser)
        nn.utils.clip_grad_norm_(turn.trainable, clip)
    turn.scaler.step(turn.optimiser)
    turn.scaler.update()
    turn.optimiser.zero_grad(set_to_none=True)


def _after_step(run: Run) -> None:
    """Log, validate and save what is due; stop if a signal came."""
    training, finished = run.recipe.training, run.step == run.total
    if run.monitor is not None:
        run.monitor.step(run.step)
    if run.step % training.log_every == 0 or finished:
        _log(run)
    if below(run.assembly.data, "validation") and (run.due(training.validate_every) or finished):
        _log(run)
        try:
            _validate(run)
        except SrkitError:
            run.checkpoint("last")
            raise
        run.meter.clear(run.step)
        if run.exhausted and not finished:
            finished = True
            if run.monitor is not None:
                run.monitor.say(
                    f"stopped early: no better validation since step {run.step_of_best}"
                )
    number = run.agree(run.signals[0] if run.signals else 0)
    if run.due(training.checkpoint_every) or finished or number:
        _save(run)
    if run.due(training.keep_every):
        run.checkpoint(f"step_{run.step:08d}")
    if number:
        raise Stopped(run.step, number)


def _log(run: Run) -> None:
    means, weights = run.meter.means(run.kept), run.assembly.weights
    if not means:
        return
    values = {
        "step": run.step,
        "epoch": run.step / run.steps_per_epoch,
        **means,
        **{f"lr/{turn.name}": turn.optimiser.param_groups[0]["lr"] for turn in run.turns},
        **{f"weight/{path.removeprefix('losses.')}": each for path, each in weights.items()},
        **run.meter.rates(),
    }
    if run.monitor is not None:
        run.monitor.record("train", values)
    run.meter.clear(run.step)


def _save(run: Run) -> None:
    """Save the state, once the losses so far are known to be finite."""
    _log(run)
    run.checkpoint("last")
    run.process.wait_for_everyone()


def _validate(run: Run) -> None:
    """Measure the network on the validation images, and keep it if it is the best so far.

    Each set is measured at each scale; the mean over the scales decides which network is the best.
    """
    with run.averaged():
        found = {
            place: [_validate_set(run, part, place) for part in run.assembly.by_scale.values()]
            for place in below(run.assembly.data, "validation")
        }
    infos = metric_infos(run.assembly)
    if run.monitor is not None:
        values: dict[str, float] = {"step": run.step, "epoch": run.step / run.steps_per_epoch}
        chosen = next(iter(found)) if run.best is None else run.best.place
        for metric in infos:
            values |= _means(run, metric.name, found[chosen])
            if len(found) > 1:
                for place, evaluations in found.items():
                    name = f"{metric.name}/{place.partition('.')[2]}"
                    values |= _means(run, name, evaluations, metric.name)
        run.monitor.record("validation", values)
    if run.best is not None:
        metric = next(info for info in infos if info.name == run.best.metric)
        scores = [one.models[0].score(metric) for one in found[run.best.place]]
        if run.best.beaten_by(float(np.mean(scores)), run.step):
            run.checkpoint("best")


def _means(
    run: Run, key: str, evaluations: list[Evaluation], metric: str | None = None
) -> dict[str, float]:
    """Return the mean of a metric over the scales under a key, and with several scales each."""
    means = [one.models[0].mean(metric or key) for one in evaluations]
    values = {key: float(np.mean(means))}
    if len(means) > 1:
        scales = run.assembly.by_scale
        values |= {f"{key}/x{scale}": mean for scale, mean in zip(scales, means, strict=True)}
    return values


def _validate_set(run: Run, assembly: Assembly, place: str) -> Evaluation:
    """Measure the network on one set at one scale, and show some of its images."""
    evaluator = Evaluator(assembly, assembly.data[place], run.process)
    name, restorer = "original", baseline("original")
    if assembly.generator is not None:
        name, restorer = "sr", network(run.restoring, assembly)
    evaluation = evaluator.evaluate({name: restorer}, "validation")
    if run.monitor is not None and assembly.generator is not None:
        shown = range(min(3, len(evaluator.dataset)))
        pictures = render_pictures(evaluator, {name: restorer}, shown)
        folder = place.replace(".", "/")
        if len(assembly.by_scale) > 1:
            folder = f"{folder}/x{assembly.scale}"
        for index, images in zip(shown, pictures, strict=True):
            run.monitor.pictures(f"{folder}/{index}", run.step, [images["original"], images[name]])
    return evaluation
