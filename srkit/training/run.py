"""A run in progress: built from a recipe, written to its folder, taken up again."""

from __future__ import annotations

import json
import math
import platform
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import yaml
from accelerate import PartialState
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from srkit.assembly.assembly import Assembly
from srkit.assembly.device import move, set_up_process
from srkit.assembly.kept_answers import KeptAnswers, identify
from srkit.assembly.start import begin_from, begin_head_from
from srkit.assembly.teachers import wanted_stages
from srkit.data.order import Share
from srkit.data.truth import task_of
from srkit.errors import RecipeError, TrainingError
from srkit.interfaces import TeacherLoss
from srkit.interfaces.quantity import Quantity
from srkit.recipe.recipe import Recipe
from srkit.recipe.resume import changed_since
from srkit.recipe.values import Length
from srkit.system.files import write_file
from srkit.training.rehearsal import rehearse
from srkit.training.turns import Turn, make_turns
from srkit.weights.checkpoints import (
    Checkpoint,
    load,
    pack_optimiser,
    save,
    unpack_optimiser,
    warm_start,
)


@dataclass(slots=True)
class Best:
    """The best validation so far."""

    metric: str
    higher_is_better: bool
    value: float | None = None
    step: int = 0

    def beaten_by(self, value: float, step: int) -> bool:
        """Take a new value if it is better."""
        if math.isnan(value):
            return False
        sign = 1 if self.higher_is_better else -1
        if self.value is not None and sign * value <= sign * self.value:
            return False
        self.value, self.step = value, step
        return True


@dataclass(slots=True)
class Run:
    """What the loop changes, and what it needs for that.

    Parameters
    ----------
    folder
        The run folder.
    assembly
        The built components, on their device.
    process
        This process: its device, and its place among those that train together.
    turns, scalers
        Who is optimised, each with a gradient scaler of its own (idle unless in fp16: one shared
        scaler would rescale between two optimisers).
    share
        This process's part of every step.
    peers
        The group in which several processes agree on the CPU; None for a single process.
    total, steps_per_epoch
        The run's length, and what an epoch means.
    average
        Averaged generator, where the recipe wants it.
    best
        The best validation so far; None where nothing is validated.
    step
        Steps done.
    quantity
        What the pixel values of the training images are; None before the first was read.
    notes
        Lines that the user must see.
    """

    folder: Path
    assembly: Assembly
    process: PartialState
    turns: list[Turn]
    scalers: list[torch.amp.GradScaler]
    share: Share
    peers: Any
    total: int
    steps_per_epoch: float
    average: AveragedModel | None
    best: Best | None
    step: int = 0
    quantity: Quantity | None = None
    notes: list[str] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        """The complete recipe."""
        return self.assembly.recipe

    @property
    def restoring(self) -> nn.Module:
        """The generator as it is validated: averaged, where the recipe wants that."""
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
        """What the run is, in a line."""
        training = self.recipe.training
        start = f"from step {self.step} on" if self.step else "from the start"
        return (
            f"{self.recipe.name}: {self.total} steps of {training.batch_size} of "
            f"{len(self.assembly.data['train'])} images, {start}, in {training.precision} on "
            f"{self.process.device.type}; in {self.folder}"
        )

    @property
    def kept(self) -> str:
        """What is left to go on from when something fails."""
        if (self.folder / "checkpoints" / "last.safetensors").is_file():
            return "the last good checkpoint is kept"
        return "there was no checkpoint yet"

    def due(self, every: Length | None) -> bool:
        """Tell whether something that comes round every so often is due after this step."""
        return every is not None and self.step % every.in_steps(self.steps_per_epoch) == 0

    def checkpoint(self, name: str) -> None:
        """Write the whole state to a checkpoint of this name; the main process does.

        Raises
        ------
        TrainingError
            If a weight is no longer a finite number.
        OutputError
            If the file cannot be written; the one before is kept.
        """
        self._check_finite()
        if not self.process.is_main_process:
            return
        groups: dict[str, Mapping[str, torch.Tensor]] = {}
        optimisers: dict[str, Any] = {}
        for turn in self.turns:
            tensors, optimisers[turn.name] = pack_optimiser(turn.optimiser)
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
            "scalers": [scaler.state_dict() for scaler in self.scalers],
            "best": None if self.best is None else [self.best.value, self.best.step],
            "recipe": self.recipe.dump(),
            "quantity": None if self.quantity is None else self.quantity.dump(),
            "versions": versions(self.assembly),
        }
        save(self.folder / "checkpoints" / f"{name}.safetensors", groups, state)

    def _check_finite(self) -> None:
        """Refuse to replace a good checkpoint by weights that are none."""
        for turn in self.turns:
            finite = torch.stack([each.detach().isfinite().all() for each in turn.trainable])
            if not finite.all():
                raise TrainingError(
                    f"the weights of the {turn.name} are not finite after step {self.step}; "
                    f"{self.kept}. Lower the learning rate or set training.clip"
                )


def start(assembly: Assembly, folder: Path, *, source: str, resume: bool) -> Run:
    """Set up a run at its first step, or at the step of its last checkpoint.

    Raises
    ------
    SrkitError
        If the recipe does not fit its data, the folder holds another run, or weights do not fit.
    """
    recipe = assembly.recipe
    last = folder / "checkpoints" / "last.safetensors"
    if resume:
        _check_resumable(folder)
    checkpoint = load(last) if resume and last.is_file() else None
    process = set_up_process(recipe, source)
    if "train" not in assembly.data:
        raise RecipeError(source, ["data.train: missing; there is nothing to train on"])
    move(assembly, process.device)
    notes = assembly.notes()
    if recipe.start is not None and assembly.generator is not None:
        begin_from(assembly.generator, recipe, fresh_only=checkpoint is not None)
        if assembly.uncertainty is not None and checkpoint is None:
            notes.append(begin_head_from(assembly.uncertainty, recipe.start.weights))
    for name, spec in recipe.teachers.items():
        teacher: Any = assembly.teachers[name]
        teacher.eval().requires_grad_(spec.trainable)
    for name, module in assembly.networks().items():
        if name.startswith("losses."):
            module.eval().requires_grad_(False)
    rehearse(assembly, process, source)
    run = _make_run(folder, assembly, process)
    run.notes = notes
    if checkpoint is not None:
        _check_same_recipe(run, checkpoint, source)
        _restore(run, checkpoint)
        if run.step > run.total:
            raise TrainingError(
                f"{folder}: has done {run.step} steps already, more than training.duration = "
                f"{recipe.training.duration}"
            )
    else:
        _open_folder(run, resume)
    _keep_answers(run)
    return run


def _keep_answers(run: Run) -> None:
    """Keep the answers on HR of frozen teachers, where no picture changes from epoch to epoch.

    Feature maps are not kept, nor what is said of each pixel: they are larger than the pictures.
    """
    assembly, recipe, source = run.assembly, run.recipe, run.recipe.data.train
    assert source is not None
    changing = source.crop is not None or source.augment or source.mix or recipe.stretch
    if changing or len(assembly.by_scale) > 1:
        return
    circumstances = f"{recipe.training.precision} {run.process.device.type}"
    for name, spec in recipe.teachers.items():
        losses = {
            key: loss
            for key, loss in assembly.losses.items()
            if isinstance(loss, TeacherLoss) and assembly.teacher_of(recipe.losses[key]) == name
        }
        teacher: Any = assembly.teachers[name]
        if spec.trainable or spec.answers == "compute" or task_of(teacher) != "classification":
            continue
        if not losses or wanted_stages(losses, teacher):
            continue
        key = identify(teacher, {"type": spec.type, **spec.options}, circumstances)
        pictures = len(assembly.data["train"])
        kept = KeptAnswers(run.folder / "answers", key, pictures, teacher.classes)
        assembly.kept[name] = kept
        run.notes.append(
            f"teachers.{name}: its answers on HR are kept in {kept.path}, "
            f"{kept.bytes / 1e9:.2g} GB at most"
        )


def _check_resumable(folder: Path) -> None:
    """Refuse to start afresh where something would be lost by it."""
    last = folder / "checkpoints" / "last.safetensors"
    if last.is_file():
        return
    if not (folder / "recipe.yaml").is_file():
        raise TrainingError(f"{folder}: no run to resume; leave out --resume to start one")
    others = sorted(path.name for path in last.parent.glob("*.safetensors"))
    if others:
        raise TrainingError(
            f"{last}: missing, though there is {', '.join(others)}; copy the one to go on from to "
            "that name, or choose another --out"
        )


def _may_rest(module: object, assembly: Assembly) -> bool:
    """Tell whether a step may leave parameters of a network without a gradient.

    A generator of several scales runs the parts of one, stages may be frozen for a while, and
    classifiers may have heads beside the scores. In all other networks, a gradient reaches every
    parameter; torch warns where it searches in vain for some that rest.
    """
    if module is assembly.generator:
        start = assembly.recipe.start
        thaws = start is not None and any(span != "always" for span in start.frozen.values())
        return thaws or len(assembly.by_scale) > 1
    return module in assembly.teachers.values()


def _make_run(folder: Path, assembly: Assembly, process: PartialState) -> Run:
    training = assembly.recipe.training
    average = None
    if training.ema is not None and isinstance(assembly.generator, nn.Module):
        average_of = get_ema_multi_avg_fn(training.ema)
        average = AveragedModel(assembly.generator, multi_avg_fn=average_of)
        average.eval().requires_grad_(False)

    def wrap(module: nn.Module) -> nn.Module:
        if training.compile:
            module.compile()
        if process.num_processes == 1:
            return module
        rests = _may_rest(module, assembly)
        with warnings.catch_warnings():
            # What torch advises instead would not bring the buffers of all processes in step.
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            return DistributedDataParallel(
                module, broadcast_buffers=False, find_unused_parameters=rests
            )

    turns = make_turns(assembly, wrap)
    steps_per_epoch = len(assembly.data["train"]) / training.batch_size
    metric = assembly.recipe.best or next(iter(assembly.metrics), None)
    best = None
    if metric is not None and "validation" in assembly.data:
        best = Best(metric, assembly.metrics[metric].higher_is_better)
    return Run(
        folder=folder,
        assembly=assembly,
        process=process,
        turns=turns,
        scalers=[torch.amp.GradScaler(enabled=training.precision == "fp16") for _ in turns],
        share=Share(
            training.batch_size,
            process.process_index,
            process.num_processes,
            training.accumulate,
        ),
        peers=dist.new_group(backend="gloo") if process.num_processes > 1 else None,
        total=training.duration.in_steps(steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        average=average,
        best=best,
    )


def _restore(run: Run, checkpoint: Checkpoint) -> None:
    groups, state = checkpoint.groups, checkpoint.state
    source = str(run.folder)
    for turn, scaler, scaling in zip(run.turns, run.scalers, state["scalers"], strict=True):
        warm_start(turn.network, groups[turn.name], source)
        tensors = groups.get(f"optimiser.{turn.name}", {})
        unpack_optimiser(turn.optimiser, tensors, state["optimisers"][turn.name])
        scaler.load_state_dict(scaling)
        for key, anchor in turn.anchor.items():
            anchor.copy_(groups[f"anchor.{turn.name}"][key])
    if run.average is not None:
        warm_start(run.average.module, groups["ema"], source)
        run.average.n_averaged.copy_(groups["ema_count"]["updates"])
    if run.best is not None and state["best"] is not None:
        run.best.value, run.best.step = state["best"]
    run.step = state["step"]
    if state.get("quantity") is not None:
        run.quantity = Quantity.parse(state["quantity"])


def _check_same_recipe(run: Run, checkpoint: Checkpoint, source: str) -> None:
    problems = changed_since(checkpoint.state["recipe"], run.recipe)
    if problems:
        raise RecipeError(source, problems)


def _open_folder(run: Run, resume: bool) -> None:
    """Start a run folder with everything that is needed to repeat the run."""
    folder = run.folder
    if folder.is_dir() and any(folder.iterdir()) and not resume:
        raise TrainingError(
            f"{folder}: holds a run already; go on with --resume, or choose another --out"
        )
    run.process.wait_for_everyone()  # all have looked before one writes
    if not run.process.is_main_process:
        return
    recipe = yaml.safe_dump(run.recipe.dump(), sort_keys=False, allow_unicode=True)
    birth = {
        "command": sys.argv,
        "seed": run.recipe.seed,
        "git": git_state(),
        "versions": versions(run.assembly),
        "platform": platform.platform(),
        "device": str(run.process.device),
        "processes": run.process.num_processes,
    }
    write_file(folder / "recipe.yaml", recipe)
    write_file(folder / "environment.json", json.dumps(birth, indent=2))


def versions(assembly: Assembly) -> dict[str, str]:
    """Versions of Python, the libraries and the plugins' distributions."""
    libraries = ("srkit", "torch", "torchvision", "timm", "accelerate", "numpy", "safetensors")
    found = {"python": platform.python_version()}
    return found | {name: version(name) for name in libraries} | assembly.distributions


def git_state() -> dict[str, Any] | None:
    """Commit of the working folder and whether it is changed; None outside a repository."""
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain"])
    try:
        commit, status = (
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "changed": bool(status.strip())}
