"""A run: set up from built components, saved to its folder, and resumed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from srkit.assembly.assembly import Assembly, wanted_stages
from srkit.assembly.device import move, precision_on, set_up_process
from srkit.assembly.kept_answers import KeptAnswers, identify
from srkit.assembly.start import (
    load_discriminator,
    load_starting_head,
    load_starting_weights,
)
from srkit.components.durations import Length
from srkit.data.order import Share
from srkit.data.truth import task_of
from srkit.errors import RecipeError, TrainingError, WeightsError, innermost
from srkit.interfaces import FingerprintedDataset
from srkit.interfaces.quantity import Quantity
from srkit.recipe.recipe import Recipe
from srkit.recipe.resume import changes, refused, report
from srkit.recipe.trees import below
from srkit.system.files import is_partial, remove_partials
from srkit.system.precision import warn_of_precision
from srkit.training.meter import Meter
from srkit.training.monitor import Monitor
from srkit.training.rehearsal import rehearse
from srkit.training.run_folder import open_folder, versions, write_recipe
from srkit.training.take_over import take_over
from srkit.training.turns import make_turns
from srkit.weights.checkpoints import (
    Checkpoint,
    changed_plugins,
    load,
    pack_optimiser,
    read_state,
    save,
    unpack_optimiser,
)
from srkit.weights.runs import is_run
from srkit.weights.transfer import changed_since_training, warm_start


@dataclass(slots=True)
class Best:
    """The best validation so far: of a metric on one of the validation sets."""

    metric: str
    place: str
    higher_is_better: bool
    value: float | None = None
    step: int = 0

    def beaten_by(self, value: float, step: int) -> bool:
        """Take a new value if it is better, and return whether it is."""
        if math.isnan(value):
            return False
        sign = 1 if self.higher_is_better else -1
        if self.value is not None and sign * value <= sign * self.value:
            return False
        self.value, self.step = value, step
        return True


class Run:
    """A run in progress.

    Parameters
    ----------
    folder
        The run folder.
    assembly
        The built components, on their device.
    process
        This process: its device, and its place among those that train together.

    Attributes
    ----------
    turns
        The networks that are trained, in the order of their turns.
    average
        The averaged generator; None unless the recipe has `ema`.
    best
        The best validation so far; None if there are no validation data.
    share
        This process's part of every step.
    total, steps_per_epoch
        Steps of the run and of an epoch.
    step
        Steps done.
    data
        Fingerprints of the data, by their places in the recipe.
    quantity
        What the pixel values of the training images are; None before the first is read.
    meter, monitor
        The terms since the last line of the log; what shows them, in the main process only.
    notes
        Lines that the user must see.
    signals
        The signals that were received.
    """

    def __init__(self, folder: Path, assembly: Assembly, process: PartialState) -> None:
        self.folder, self.assembly, self.process = folder, assembly, process
        training = assembly.recipe.training
        self.average: AveragedModel | None = None
        if training.ema is not None and isinstance(assembly.generator, nn.Module):
            average_of = get_ema_multi_avg_fn(training.ema)
            self.average = AveragedModel(assembly.generator, multi_avg_fn=average_of)
            self.average.eval().requires_grad_(False)
        self.turns = make_turns(assembly, self._wrap)
        self.best: Best | None = None
        if assembly.recipe.selecting is not None:
            metric, place = assembly.recipe.selecting
            self.best = Best(metric, place, assembly.metrics[metric].higher_is_better)
        self.share = Share(
            training.batch_size,
            process.process_index,
            process.num_processes,
            training.accumulate,
        )
        self._peers: Any = dist.new_group(backend="gloo") if process.num_processes > 1 else None
        self.steps_per_epoch = len(assembly.data["train"]) / training.batch_size
        self.total = training.duration.in_steps(self.steps_per_epoch)
        self.step = 0
        self.data = fingerprints(assembly)
        self.quantity: Quantity | None = None
        self.meter = Meter(training.accumulate)
        self.monitor: Monitor | None = None
        self.notes: list[str] = []
        self.signals: list[int] = []

    def _wrap(self, network: nn.Module) -> nn.Module:
        """Compile a network if the recipe says so, and wrap it for several processes."""
        if mode := self.recipe.training.compile:
            network.compile(mode="default" if mode is True else mode)
        if self.process.num_processes == 1:
            return network
        with warnings.catch_warnings():
            # What torch advises instead would not keep the buffers of all processes in step.
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            return DistributedDataParallel(
                network,
                broadcast_buffers=False,
                find_unused_parameters=_may_rest(network, self.assembly),
            )

    @property
    def recipe(self) -> Recipe:
        """The complete recipe."""
        return self.assembly.recipe

    @property
    def restoring(self) -> nn.Module:
        """The generator as it is validated: averaged if the recipe has `ema`."""
        chosen = self.assembly.generator if self.average is None else self.average.module
        assert isinstance(chosen, nn.Module)
        return chosen

    @property
    def step_of_best(self) -> int:
        """The step of the best validation so far; 0 before the first."""
        return self.best.step if self.best else 0

    @property
    def exhausted(self) -> bool:
        """Whether the validations since the best are as many as the recipe's patience."""
        patience, every = self.recipe.training.patience, self.recipe.training.validate_every
        if patience is None:
            return False
        waited = self.step - self.step_of_best
        return waited >= patience * every.in_steps(self.steps_per_epoch)

    @property
    def title(self) -> str:
        """The run in one line."""
        training = self.recipe.training
        start = f"from step {self.step} on" if self.step else "from the start"
        return (
            f"{self.recipe.name}: {self.total} steps with batches of {training.batch_size} out of "
            f"{len(self.assembly.data['train'])} images, {start}, in {training.precision} on "
            f"{self.process.device.type}; in {self.folder}"
        )

    @property
    def last(self) -> Path:
        """The last checkpoint, from which the run is resumed."""
        return self.folder / "checkpoints" / "last.safetensors"

    @property
    def kept(self) -> str:
        """What errors say about checkpoints."""
        there = self.last.is_file()
        return "the last good checkpoint is kept" if there else "there was no checkpoint yet"

    def due(self, every: Length | None) -> bool:
        """Return whether something that is done every so often is due after this step."""
        return every is not None and self.step % every.in_steps(self.steps_per_epoch) == 0

    def agree(self, number: int) -> int:
        """Return the largest number of all processes, on the CPU, without waiting for the device.

        Whatever stops one process has to stop all of them at the same step: the others would wait
        for its gradients for ever.
        """
        if self._peers is None:
            return number
        largest = torch.tensor(int(number))
        dist.all_reduce(largest, dist.ReduceOp.MAX, group=self._peers)
        return int(largest)

    def checkpoint(self, name: str) -> None:
        """Write the whole state to a checkpoint of this name, in the main process.

        Raises
        ------
        TrainingError
            If a weight is no longer finite.
        OutputError
            If the file cannot be written; the one before is kept.
        """
        self._check_finite()
        if not self.process.is_main_process:
            return
        groups: dict[str, Mapping[str, Tensor]] = {}
        optimisers: dict[str, Any] = {}
        for turn in self.turns:
            tensors, optimisers[turn.name] = pack_optimiser(turn.optimiser, turn.settings)
            groups[turn.name] = turn.network.state_dict()
            groups[f"optimiser.{turn.name}"] = tensors
            groups[f"anchor.{turn.name}"] = turn.anchor
        if self.average is not None:
            groups["ema"] = self.average.module.state_dict()
            groups["ema_count"] = {"updates": self.average.n_averaged}
        state = {
            "step": self.step,
            "finished": self.step == self.total or self.exhausted,
            "optimisers": optimisers,
            "trained": {turn.name: turn.identity for turn in self.turns},
            "scalers": [turn.scaler.state_dict() for turn in self.turns],
            "best": None if self.best is None else [self.best.value, self.best.step],
            "recipe": self.recipe.dump(),
            "data": self.data,
            "quantity": None if self.quantity is None else self.quantity.dump(),
            "versions": versions(self.assembly),
        }
        with self.averaged() as trained:
            groups |= {f"trained.{name}": weights for name, weights in trained.items() if weights}
            save(self.folder / "checkpoints" / f"{name}.safetensors", groups, state)

    @contextmanager
    def averaged(self) -> Iterator[dict[str, dict[str, Tensor]]]:
        """Give every network the weights that its optimiser averages, if it does.

        Yields
        ------
        dict
            The weights that are trained, by turn and parameter.
        """
        with ExitStack() as stack:
            yield {turn.name: stack.enter_context(turn.averaged()) for turn in self.turns}

    def _check_finite(self) -> None:
        """Refuse to replace a good checkpoint by weights that are not finite."""
        for turn in self.turns:
            finite = torch.stack([each.detach().isfinite().all() for each in turn.trainable])
            if not finite.all():
                raise TrainingError(
                    f"the weights of the {turn.name} are not finite after step {self.step}; "
                    f"{self.kept}. Lower the learning rate or set training.clip"
                )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take the state over from a checkpoint of this run."""
        groups, state, source = checkpoint.groups, checkpoint.state, str(self.folder)
        for turn, scaling in zip(self.turns, state["scalers"], strict=True):
            trained = groups.get(f"trained.{turn.name}", {})
            warm_start(turn.network, {**groups[turn.name], **trained}, source)
            tensors = groups.get(f"optimiser.{turn.name}", {})
            unpack_optimiser(turn.optimiser, tensors, state["optimisers"][turn.name])
            turn.scaler.load_state_dict(scaling)
            for key, anchor in turn.anchor.items():
                anchor.copy_(groups[f"anchor.{turn.name}"][key])
        if self.average is not None:
            warm_start(self.average.module, groups["ema"], source)
            self.average.n_averaged.copy_(groups["ema_count"]["updates"])
        self.step = state["step"]
        if self.best is not None:
            same = selection(Recipe.model_validate(state["recipe"])) == selection(self.recipe)
            self.best.value, self.best.step = state["best"] if same else (None, self.step)
        if state.get("quantity") is not None:
            self.quantity = Quantity.parse(state["quantity"])


def _may_rest(network: object, assembly: Assembly) -> bool:
    """Return whether a step may leave parameters of a network without a gradient.

    A generator of several scales runs the parts of one scale, stages may be frozen for a while, and
    classifiers may have heads beside the scores. In all other networks a gradient reaches every
    parameter, and torch would warn about a needless search for parameters that rest.
    """
    if network is assembly.generator:
        start = assembly.recipe.start
        thaws = start is not None and any(span != "always" for span in start.frozen.values())
        return thaws or len(assembly.by_scale) > 1
    return network in assembly.teachers.values()


def fingerprints(assembly: Assembly) -> dict[str, str]:
    """Return a digest of each data set that decides a training, if its files can change."""
    tested = below(assembly.data, "test")
    sources = {f"data.{place}": data for place, data in assembly.data.items()}
    sources |= {f"data.{place}.mix": data for place, data in assembly.mixed_in.items()}
    return {
        place: data.fingerprint()
        for place, data in sources.items()
        if isinstance(data, FingerprintedDataset) and place.removeprefix("data.") not in tested
    }


def start(
    assembly: Assembly,
    folder: Path,
    *,
    source: str,
    resume: bool,
    allow_changed_data: bool = False,
) -> Run:
    """Set up a run at its first step, or at the step of its last checkpoint.

    Raises
    ------
    SrkitError
        If the recipe does not fit its data, the folder contains another run, weights do not fit, or
        files of the data changed since the run started.
    """
    recipe = assembly.recipe
    checkpoint = _checkpoint_of(folder) if resume else None
    process = set_up_process(recipe, source)
    started = None if checkpoint is None else checkpoint.state["recipe"]
    if started is not None and (problems := refused(started, recipe)):
        raise RecipeError(source, problems)
    if "train" not in assembly.data:
        raise RecipeError(source, ["data.train: missing; there is nothing to train on"])
    move(assembly, process.device)
    notes = _settle_precision(str(folder), recipe, process.device, started) + assembly.notes()
    if checkpoint is None and recipe.start is not None and assembly.generator is not None:
        load_starting_weights(assembly.generator, recipe)
        notes += changed_since_training(recipe.start.weights, assembly.distributions)
        if assembly.uncertainty is not None:
            notes.append(load_starting_head(assembly.uncertainty, recipe.start.weights))
    if checkpoint is None and recipe.discriminator is not None:
        load_discriminator(assembly.discriminator, recipe.discriminator.weights)
    for name, spec in recipe.teachers.items():
        teacher: Any = assembly.teachers[name]
        teacher.eval().requires_grad_(spec.trainable)
    for name, module in assembly.networks().items():
        if name.startswith("losses."):
            module.eval().requires_grad_(False)
    rehearse(assembly, process, source)
    run = Run(folder, assembly, process)
    overlaps = assembly.overlaps()
    run.notes = notes + overlaps
    if run.best is not None and len(below(assembly.data, "validation")) > 1:
        run.notes.append(f"best checkpoint: by {run.best.metric} on data.{run.best.place}")
    if resume and process.is_main_process:
        remove_partials(folder)  # of processes that were killed
    if checkpoint is None:
        run.notes += take_over(run.turns, run.average, recipe)
        open_folder(folder, assembly, process, overlaps, resume=resume)
    else:
        _continue(run, checkpoint, allow_changed_data=allow_changed_data)
    _keep_answers(run)
    return run


def _continue(run: Run, checkpoint: Checkpoint, *, allow_changed_data: bool) -> None:
    """Restore the state of a run from its checkpoint, and note what changed since."""
    recipe, state = run.recipe, checkpoint.state
    changed = changes(state["recipe"], recipe)
    if not allow_changed_data:
        _check_data(run, checkpoint, changed)
    run.notes += changed_plugins(str(run.last), state, run.assembly.distributions)
    run.notes += report(changed)
    try:
        run.restore(checkpoint)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{run.last}: not the complete state of this run ({innermost(error)}); use another "
            "checkpoint"
        ) from error
    if run.step > run.total:
        raise TrainingError(
            f"{run.folder}: the run has already done {run.step} steps, more than "
            f"training.duration = {recipe.training.duration}; raise training.duration, or "
            "choose another --out"
        )
    if changed and run.process.is_main_process:
        write_recipe(run.folder, recipe)


def selection(recipe: Recipe) -> Any:
    """Return what decides which validation is the best: a metric, and the images."""
    if recipe.selecting is None:
        return None
    metric, place = recipe.selecting
    tree = recipe.dump()
    return metric, tree["metrics"][metric], recipe.data.sources()[place].model_dump(mode="json")


def _settle_precision(run: str, recipe: Recipe, device: torch.device, started: Any) -> list[str]:
    """Replace `auto` in a recipe, so that the run records its precision; return notes on it.

    A resumed run keeps the precision in which it was started, on any device: another one would
    lead to other weights. All processes take that of the main process.
    """
    training, (precision, reason) = recipe.training, precision_on(recipe, device)
    if training.precision == "auto" and started is not None:
        precision, reason = started["training"]["precision"], "as the run was started"
        if precision == "fp16" and device.type != "cuda":
            raise TrainingError(f"{run}: was started in fp16; resume it on a CUDA GPU")
    training.precision, reason = broadcast_object_list([precision, reason])
    notes = [f"precision: {training.precision}, {reason}"]
    if training.tf32 and device.type != "cuda":
        notes.append(f"training.tf32: has no effect on {device.type}")
    return [*notes, *warn_of_precision(training.precision, device)]


def _checkpoint_of(folder: Path) -> Checkpoint | None:
    """Read the checkpoint to resume from; None if the run was stopped before the first.

    It is the last one. Where that is missing, since the run was killed after its first validation,
    it is the one of most steps.

    Raises
    ------
    TrainingError
        If there is no run.
    """
    last = folder / "checkpoints" / "last.safetensors"
    if last.is_file():
        return load(last)
    if not is_run(folder):
        raise TrainingError(f"{folder}: contains no run to resume; omit --resume to start one")
    others = [path for path in last.parent.glob("*.safetensors") if not is_partial(path)]
    return load(max(others, key=_steps_of)) if others else None


def _steps_of(checkpoint: Path) -> int:
    state = read_state(checkpoint)
    return -1 if state is None else int(state["step"])


def _check_data(run: Run, checkpoint: Checkpoint, changed: Iterable[str]) -> None:
    """Check that no file of the data changed since the run started, where the recipe is the same.

    Parameters
    ----------
    run, checkpoint
        The run, and its checkpoint.
    changed
        The keys of the recipe that changed.
    """
    before = checkpoint.state.get("data", run.data)
    others = [
        place
        for place, digest in run.data.items()
        if before.get(place, digest) != digest
        and not any(key.startswith(f"{place}.") for key in changed)
    ]
    if others:
        raise TrainingError(
            f"{run.folder}: files of {' and '.join(others)} were added, removed or replaced since "
            "the run started; restore them, or add --allow-changed-data"
        )


def _keep_answers(run: Run) -> None:
    """Keep the answers of frozen classifiers on HR, if no image changes from epoch to epoch.

    Feature maps and answers for each pixel are not kept: they are larger than the images.
    """
    assembly, recipe, source = run.assembly, run.recipe, run.recipe.data.train
    assert source is not None
    changing = source.crop is not None or source.augment or source.mix or recipe.stretch
    if changing or len(assembly.by_scale) > 1:
        return
    circumstances = f"{recipe.training.precision} {run.process.device.type}"
    for name, spec in recipe.teachers.items():
        losses, teacher = assembly.losses_on(name), assembly.teachers[name]
        if spec.trainable or spec.answers == "compute" or task_of(teacher) != "classification":
            continue
        if not losses or wanted_stages(losses, teacher):
            continue
        assert isinstance(teacher, nn.Module)
        key = identify(teacher, {"type": spec.type, **spec.options}, circumstances)
        pictures = len(assembly.data["train"])
        kept = KeptAnswers(run.folder / "answers", key, pictures, teacher.classes)
        assembly.kept[name] = kept
        run.notes.append(
            f"teachers.{name}: its answers on HR are kept in {kept.path}, at most "
            f"{kept.bytes / 1e9:.2g} GB"
        )
