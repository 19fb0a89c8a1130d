"""The training loop.

For each batch, for each turn: sum the terms, go backward; then each turn clips and steps. All
chance is a pure function of the seed and the step, so that a resumed run goes on bit for bit.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import reduce
from rich.console import Console
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from srkit.assembly.assembly import Assembly
from srkit.assembly.device import autocast, evaluating, prepare
from srkit.assembly.draws import draws_of
from srkit.data.batches import training_batches
from srkit.data.scales import scale_of_step, set_scale
from srkit.errors import DataError, TrainingError
from srkit.evaluation.curves import write_curves
from srkit.evaluation.examiner import Examiner, baseline, metric_infos, network
from srkit.evaluation.results import Evaluation
from srkit.evaluation.statistics import standing
from srkit.interfaces import Batch
from srkit.interfaces.quantity import Quantity
from srkit.interfaces.view import View
from srkit.models.anatomy import flow, weighted_layers
from srkit.recipe.trees import flatten
from srkit.report.writer import ReportWriter
from srkit.system.processes.signals import gathered_signals
from srkit.training.monitor import Monitor, read_records
from srkit.training.optimisers import learning_rate_factor
from srkit.training.run import Run, start
from srkit.training.turns import Scene, Turn

#: What of a recipe is no setting that runs are compared by.
UNSHOWN = {"description", "sample"}

#: Side of the LR picture, in pixels, on which the network's graph is drawn.
SHOWN_SIDE = 16


class Stopped(Exception):  # noqa: N818 - no error: the user asked for it
    """The run was stopped by a signal, after its state was saved."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number
        super().__init__(f"stopped at step {step}, state saved; go on with --resume")


def train(
    assembly: Assembly,
    folder: Path,
    *,
    source: str,
    console: Console,
    resume: bool = False,
) -> Path:
    """Train what a recipe says.

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
        Go on from the last checkpoint in `folder`.

    Returns
    -------
    Path
        The best checkpoint, or the last where nothing was validated.

    Raises
    ------
    SrkitError
        For anything the user can mend; the last whole checkpoint is kept.
    Stopped
        After SIGINT or SIGTERM; the state is saved.
    """
    run = start(assembly, folder, source=source, resume=resume)
    with ExitStack() as stack:
        monitor = None
        if run.process.is_main_process:
            monitor = stack.enter_context(Monitor(folder, console, run.total, run.step))
            _introduce(run, monitor)
        run.signals = stack.enter_context(gathered_signals())
        stack.enter_context(_watch_workers())
        loop(run, monitor)
    if run.process.is_main_process:
        records = read_records(folder / "metrics.jsonl")
        write_curves(records, ReportWriter(folder / "figures"), metric_infos(run.assembly))
    best = folder / "checkpoints" / "best.safetensors"
    return best if best.is_file() else best.with_name("last.safetensors")


def _introduce(run: Run, monitor: Monitor) -> None:
    """Say what the run is, what its data want to be known, its settings and its network."""
    monitor.say(run.title)
    for note in run.notes:
        monitor.say(note)
    for data in (*run.assembly.data.values(), *run.assembly.mixed_in.values()):
        for note in data.notes:
            monitor.say(note)
    settings = flatten(run.recipe.model_dump(mode="json", exclude_none=True, exclude=UNSHOWN))
    monitor.settings(settings)
    generator: Any = run.assembly.generator
    if generator is not None:
        with evaluating(run.assembly), torch.compiler.set_stance("force_eager"):
            lr = torch.zeros(1, generator.channels, SHOWN_SIDE, SHOWN_SIDE)
            lr = lr.to(run.process.device)
            monitor.graph(flow(generator, weighted_layers(generator), lr))


def loop(run: Run, monitor: Monitor | None) -> None:
    """Train from the run's step to its last."""
    training = run.recipe.training
    meter = Meter(run.step)
    batches = _batches(run)
    while run.step < run.total and not run.exhausted:
        seed_everything(run.recipe.seed, run.step, run.process.process_index)
        set_learning_rates(run)
        set_freezing(run)
        assembly = take_scale(run)
        started = time.perf_counter()
        parts, problem = _read_step(batches, training.accumulate)
        if _agree(run, problem is not None):
            if run.step:
                _save(run, meter, monitor)  # a picture that cannot be read costs no progress
            raise problem or DataError("stopped, since another process cannot read its data")
        meter.waited += time.perf_counter() - started
        for number, batch in enumerate(parts, start=1):
            batch = prepare(batch, assembly, run.process.device)
            run.quantity = run.quantity or Quantity.of(batch)
            scene = Scene(View.of(batch, assembly.stretch))
            last = number == training.accumulate
            for turn, scaler in zip(run.turns, run.scalers, strict=True):
                terms = take_turn(run, turn, scaler, scene, last=last)
                meter.add(terms, leading=turn is run.turns[0])
        for turn, scaler in zip(run.turns, run.scalers, strict=True):
            change(turn, scaler, training.clip)
        if run.average is not None:
            run.average.update_parameters(run.turns[0].network)
        run.step += 1
        meter.images += training.batch_size
        _after_step(run, meter, monitor)


def _read_step(batches: Iterator[Batch], parts: int) -> tuple[list[Batch], DataError | None]:
    """Read all parts of a step, or give what is wrong with its data."""
    try:
        return [next(batches) for _ in range(parts)], None
    except DataError as error:
        return [], error


def take_turn(
    run: Run, turn: Turn, scaler: torch.amp.GradScaler, scene: Scene, *, last: bool
) -> dict[str, Tensor]:
    """Add a turn's gradients for a part of a step, and give its terms."""
    with ExitStack() as stack:
        stack.enter_context(turn.alone(run.turns))
        if not last and isinstance(turn.prepared, DistributedDataParallel):
            stack.enter_context(turn.prepared.no_sync())
        with autocast(run.assembly, run.process.device):
            terms = turn.terms(scene)
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        scaled: Tensor = scaler.scale(loss / run.recipe.training.accumulate)
        scaled.backward()  # type: ignore[no-untyped-call]
    return {name: term.detach() for name, term in terms.items()}


def change(turn: Turn, scaler: torch.amp.GradScaler, clip: float | None) -> None:
    """Clip the gathered gradients and let the optimiser step."""
    if clip is not None:
        scaler.unscale_(turn.optimiser)
        nn.utils.clip_grad_norm_(turn.trainable, clip)
    scaler.step(turn.optimiser)
    scaler.update()
    turn.optimiser.zero_grad(set_to_none=True)


def take_scale(run: Run) -> Assembly:
    """Set the generator to the scale of this step, and give what is built for it."""
    scale = scale_of_step(run.recipe.scales, run.recipe.seed, run.step)
    set_scale(run.assembly.generator, scale)
    return run.assembly.by_scale[scale]


def set_learning_rates(run: Run) -> None:
    """Set every turn's learning rate to what the schedule says of this step."""
    schedule = run.recipe.training.schedule
    factor = learning_rate_factor(schedule, run.step, run.total, run.steps_per_epoch)
    for turn in run.turns:
        for group in turn.optimiser.param_groups:
            group["lr"] = turn.lr * factor


def set_freezing(run: Run) -> None:
    """Freeze what the recipe freezes at this step."""
    for turn in run.turns:
        if turn.freezing is not None:
            turn.freezing.hold(run.step, run.steps_per_epoch)


def seed_everything(seed: int, step: int, rank: int) -> None:
    """Make all chance in a step a pure function of these, so that no state has to be saved."""
    drawn = int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
    random.seed(drawn)
    np.random.seed(drawn)  # noqa: NPY002 - for components that draw from it
    torch.manual_seed(drawn)


class Meter:
    """Gathers terms and times between two log lines, without waiting for the device.

    Parameters
    ----------
    step
        Steps done so far.
    """

    def __init__(self, step: int) -> None:
        self.clear(step)

    def clear(self, step: int) -> None:
        """Start afresh after a step."""
        self.first, self.images, self.waited = step, 0, 0.0
        self.started = time.perf_counter()
        self._terms: dict[str, list[Tensor]] = defaultdict(list)
        self._leading: set[str] = set()

    def add(self, terms: Mapping[str, Tensor], *, leading: bool) -> None:
        """Keep the terms of a turn; those of the leading one make up the total."""
        for name, term in terms.items():
            self._terms[name].append(term)
        if leading:
            self._leading |= terms.keys()

    def means(self, run: Run) -> dict[str, float]:
        """Average each term over steps and processes, and add up those of the leading turn.

        Raises
        ------
        TrainingError
            If a term is not finite; it names the term and the step.
        """
        means = {}
        for name, terms in self._terms.items():
            values = reduce(torch.stack(terms).float(), "mean").cpu()
            broken = (~values.isfinite()).nonzero()
            if len(broken):
                position = int(broken[0])
                step = self.first + position // run.recipe.training.accumulate + 1
                raise TrainingError(
                    f"the loss term '{name}' is {values[position].item()} at step {step}; "
                    f"{run.kept}. Lower the learning rate, set training.clip, or look at the data "
                    "of that step"
                )
            means[f"loss/{name}"] = values.mean().item()
        if means:
            means["loss/total"] = sum(means[f"loss/{name}"] for name in self._leading)
        return means


def _batches(run: Run) -> Iterator[Batch]:
    draws = draws_of(run.assembly, identified=bool(run.assembly.kept))
    pin = run.process.device.type == "cuda"
    workers = run.recipe.training.workers
    return training_batches(draws, run.share, run.step, run.total, workers, pin)


def _after_step(run: Run, meter: Meter, monitor: Monitor | None) -> None:
    """Log, validate and save what is due; stop when a signal came."""
    training, finished = run.recipe.training, run.step == run.total
    if monitor is not None:
        monitor.step(run.step)
    if run.step % training.log_every == 0 or finished:
        _log(run, meter, monitor)
    if "validation" in run.assembly.data and (run.due(training.validate_every) or finished):
        _log(run, meter, monitor)
        try:
            _validate(run, monitor)
        except DataError:
            run.checkpoint("last")
            raise
        meter.clear(run.step)
        if run.exhausted and not finished:
            finished = True
            if monitor is not None:
                monitor.say(f"stopped early: nothing better since step {run.step_of_best}")
    number = _agree(run, run.signals[0] if run.signals else 0)
    if run.due(training.checkpoint_every) or finished or number:
        _save(run, meter, monitor)
    if run.due(training.keep_every):
        run.checkpoint(f"step_{run.step:08d}")
    if number:
        raise Stopped(run.step, number)


def _log(run: Run, meter: Meter, monitor: Monitor | None) -> None:
    means = meter.means(run)
    if not means:
        return
    seconds = time.perf_counter() - meter.started
    values = {
        "step": run.step,
        "epoch": run.step / run.steps_per_epoch,
        **means,
        **{f"lr/{turn.name}": turn.optimiser.param_groups[0]["lr"] for turn in run.turns},
        "images_per_second": meter.images / seconds,
        "waiting_share": meter.waited / seconds,
    }
    if monitor is not None:
        monitor.record("train", values)
    meter.clear(run.step)


def _save(run: Run, meter: Meter, monitor: Monitor | None) -> None:
    """Save the state, once the losses so far are known to be finite."""
    _log(run, meter, monitor)
    run.checkpoint("last")
    run.process.wait_for_everyone()


def _validate(run: Run, monitor: Monitor | None) -> None:
    """Measure the network on the validation images, and keep it if it is the best so far.

    Of several scales each is measured; what ranks the network is the mean over them.
    """
    found = {
        scale: _validate_scale(run, assembly, monitor)
        for scale, assembly in run.assembly.by_scale.items()
    }
    first = next(iter(found.values()))
    if monitor is not None:
        position = {"step": run.step, "epoch": run.step / run.steps_per_epoch}
        for metric in first.metrics:
            means = {s: one.models[0].mean(metric.name) for s, one in found.items()}
            position[metric.name] = float(np.mean(list(means.values())))
            if len(found) > 1:
                position |= {f"{metric.name}/x{scale}": mean for scale, mean in means.items()}
        monitor.record("validation", position)
    if run.best is not None:
        metric = next(info for info in first.metrics if info.name == run.best.metric)
        standings = [standing(one.models[0], metric) for one in found.values()]
        if run.best.beaten_by(float(np.mean(standings)), run.step):
            run.checkpoint("best")


def _validate_scale(run: Run, assembly: Assembly, monitor: Monitor | None) -> Evaluation:
    """Measure the network at one scale, and show some of its pictures."""
    examiner = Examiner(assembly, assembly.data["validation"], run.process)
    name, restorer = "original", baseline("original")
    if assembly.generator is not None:
        name, restorer = "sr", network(run.restoring, assembly)
    evaluation = examiner.examine({name: restorer}, "validation")
    if monitor is not None and assembly.generator is not None:
        shown = range(min(3, len(examiner.dataset)))
        pictures = examiner.pictures({name: restorer}, shown)
        folder = "validation" if len(assembly.by_scale) == 1 else f"validation/x{assembly.scale}"
        for index, images in zip(shown, pictures, strict=True):
            monitor.pictures(f"{folder}/{index}", run.step, [images["original"], images[name]])
    return evaluation


def _agree(run: Run, number: int) -> int:
    """Give the largest of all processes' numbers, on the CPU, without waiting for the device.

    Whatever one process would stop for has to stop all of them at the same step: the others would
    wait for its gradients for ever.
    """
    if run.process.num_processes == 1:
        return number
    largest = torch.tensor(int(number))
    torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX, group=run.peers)
    return int(largest)


@contextmanager
def _watch_workers() -> Iterator[None]:
    """Say what became of a worker process that was killed; torch raises it wherever we are."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise TrainingError(
            f"a process that reads the data was killed ({str(error).rstrip('. ')}), as happens "
            "when memory runs out; the last checkpoint is kept. Lower training.workers, or crop "
            "or batch size, and go on with --resume"
        ) from error
