"""The turns of a training step: for each trained network its optimiser and its loss terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional as F
from torch.optim import Optimizer

from srkit.assembly.assembly import Assembly, wanted_stages
from srkit.assembly.restore import postprocess, predict_log_variance
from srkit.data.truth import truth_of
from srkit.errors import TrainingError
from srkit.interfaces import (
    VOID,
    Answer,
    AveragingOptimiser,
    Batch,
    PenalisedGame,
    TeacherLoss,
    VarianceLoss,
    ViewLoss,
)
from srkit.interfaces._contract import require_logits, require_loss, unchanged
from srkit.interfaces.view import View
from srkit.recipe.parts import StartSpec
from srkit.training.freezing import Freezing
from srkit.training.recomputation import recompute_activations
from srkit.weights.checkpoints import settings_of

#: The weighted terms of a loss, by name.
Terms = dict[str, Tensor]

#: Prepares a network that is trained: compiles it, and shares its gradients between processes.
Wrap = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True, slots=True)
class Restored:
    """What the generator's turn returns, and the turns after it read.

    Parameters
    ----------
    output
        The generator's output, on its own grid.
    sr
        The same on the grid of HR, after the constraint, as networks and losses see it.
    """

    output: Tensor
    sr: Tensor


#: Computes the terms of a turn. It gets what the generator's turn returned, which is None before
#: that turn and in recipes without a generator, and returns what the next turn gets.
Compute = Callable[[View, Restored | None], tuple[Terms, Restored | None]]


@dataclass(slots=True)
class Turn:
    """The part of one network in a training step.

    Parameters
    ----------
    name
        ``generator``, ``uncertainty``, ``discriminator`` or ``teachers.NAME``.
    network
        The network that the optimiser changes.
    wrapped
        The network as it runs in its own turn, wrapped for several processes. In the other turns
        it runs unwrapped, since it gathers no gradients there.
    optimiser
        The optimiser of the network's parameters.
    compute
        Computes the terms that the turn lowers.
    anchor
        The starting weights that L2-SP draws the network to, by parameter; empty without L2-SP.
    freezing
        The stages that are frozen at a step; None if the network has none.
    scaler
        The turn's own gradient scaler, idle unless in fp16: a shared one would change its scale
        between two optimisers.

    Attributes
    ----------
    trainable
        The parameters that are not frozen for good.
    settings
        The values of the optimiser's groups before the first step, such as the learning rate.
    """

    name: str
    network: nn.Module
    wrapped: nn.Module
    optimiser: Optimizer
    compute: Compute
    anchor: dict[str, Tensor] = field(default_factory=dict)
    freezing: Freezing | None = None
    scaler: GradScaler = field(default_factory=partial(GradScaler, enabled=False))
    trainable: list[nn.Parameter] = field(init=False)
    settings: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.trainable = _trainable(self.network)
        self.settings = settings_of(self.optimiser)

    @property
    def identity(self) -> dict[str, Any]:
        """What has to be the same if another run takes over the state of the optimiser."""
        own = set(self.trainable)
        names = [name for name, p in self.network.named_parameters() if p in own]
        return {"optimiser": type(self.optimiser).__name__, "parameters": names}

    @contextmanager
    def averaged(self) -> Iterator[dict[str, Tensor]]:
        """Give the network the weights that its optimiser averages, if it does.

        Yields
        ------
        dict
            The weights that are trained, by parameter; empty if they are in place.
        """
        if not isinstance(self.optimiser, AveragingOptimiser):
            yield {}
            return
        trained = {key: p.detach().clone() for key, p in self.network.named_parameters()}
        self.optimiser.eval()
        try:
            yield trained
        finally:
            self.optimiser.train()
            with torch.no_grad():  # what train() computes is rounded
                for key, parameter in self.network.named_parameters():
                    parameter.copy_(trained[key])

    @contextmanager
    def alone(self, turns: Iterable[Turn]) -> Iterator[None]:
        """Let gradients reach the parameters of this turn only."""
        others = [
            p for turn in turns if turn is not self for p in turn.trainable if p.requires_grad
        ]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)


def _trainable(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def make_optimiser(assembly: Assembly, path: str, network: nn.Module) -> Optimizer:
    """Return the optimiser at a path of the recipe, of the parameters of a network.

    Raises
    ------
    TrainingError
        If all parameters are frozen.
    """
    parameters = _trainable(network)
    if not parameters:
        raise TrainingError(
            "nothing is left to train: every parameter is frozen; shorten start.freeze"
        )
    with assembly.blamed(path):
        return assembly.optimisers[path](parameters)


def make_turns(assembly: Assembly, wrap: Wrap) -> list[Turn]:
    """Return the turns of a recipe in their order, the generator's first.

    Parameters
    ----------
    assembly
        The built components, on their device.
    wrap
        Prepares each network for its own turn.

    Raises
    ------
    TrainingError
        If all parameters of a network are frozen.
    """
    turns = []
    if assembly.generator is not None:
        turns.append(_generator_turn(assembly, wrap))
    if assembly.uncertainty is not None:
        turns.append(_uncertainty_turn(assembly, wrap))
    if assembly.discriminator is not None:
        turns.append(_discriminator_turn(assembly, wrap))
    for name, spec in assembly.recipe.teachers.items():
        if spec.trainable:
            turns.append(_teacher_turn(assembly, name, wrap))
    for turn in turns:
        turn.scaler = GradScaler(enabled=assembly.recipe.training.precision == "fp16")
    return turns


def _generator_turn(whole: Assembly, wrap: Wrap) -> Turn:
    recipe, generator = whole.recipe, whole.generator
    assert isinstance(generator, nn.Module)
    freezing = Freezing(generator, recipe.start)
    anchor = anchor_of(generator, recipe.start)
    optimiser = make_optimiser(whole, "training.optimiser", generator)
    if recipe.training.checkpoint_activations:
        recompute_activations(whole.generator.stages().values())
    wrapped = wrap(generator)

    def compute(view: View, _: Restored | None) -> tuple[Terms, Restored]:
        assembly = whole.by_scale[generator.scale]
        wrapped.train()
        freezing.keep_statistics()
        for name in assembly.teachers:
            _teacher(assembly, name).eval()
        batch = view.stretched
        assert batch.lr is not None
        output = assembly.checked(wrapped)(batch.lr).float()
        with assembly.blamed("constraint"):
            sr = postprocess(output, view, assembly.constraint)
        terms = pixel_terms(assembly, sr, view) | teacher_terms(assembly, sr, batch)
        if assembly.uncertainty is not None:
            with torch.no_grad():  # the head has its own turn
                log_variance = predict_log_variance(assembly.uncertainty, output, batch)
            terms |= variance_terms(assembly, sr, log_variance, batch)
        terms |= adversarial_term(assembly, sr, batch)
        terms |= _anchor_term(generator, anchor, recipe.start)
        return terms or {"none": 0 * sr.sum()}, Restored(output, sr)  # if all losses rest

    return Turn("generator", generator, wrapped, optimiser, compute, anchor, freezing)


def adversarial_term(assembly: Assembly, sr: Tensor, batch: Batch) -> Terms:
    """Weight what the generator loses in the game against the discriminator, if there is one."""
    spec, discriminator = assembly.recipe.discriminator, assembly.discriminator
    if spec is None or discriminator is None or assembly.game is None:
        return {}
    if assembly.rests("discriminator"):
        return {}
    fake = real = _logits(assembly, discriminator, sr)
    if assembly.game.relative:
        with torch.no_grad():
            real = _logits(assembly, discriminator, batch.hr)
    weight = assembly.weight_of("discriminator")
    return {"adversarial": weight * _play(assembly, "generator", real, fake)}


def _logits(
    assembly: Assembly, discriminator: Callable[[Tensor], object], images: Tensor
) -> list[Tensor]:
    """Return the logits of each scale of a discriminator, in float32."""
    with assembly.blamed("discriminator"):
        return [each.float() for each in require_logits(discriminator(images), len(images))]


def _play(assembly: Assembly, side: str, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Return what a side of the game minimises: the mean over the discriminator's scales."""
    with assembly.blamed("discriminator.loss"):
        found = [getattr(assembly.game, side)(*pair) for pair in zip(real, fake, strict=True)]
        for value in found:
            require_loss(value)
    return torch.stack(found).mean()


def penalty_term(
    assembly: Assembly, discriminator: Callable[[Tensor], object], hr: Tensor, sr: Tensor
) -> Terms:
    """Compute the penalty of the game on its discriminator, if it has one, in float32."""
    game = assembly.game
    if not isinstance(game, PenalisedGame) or game.penalty is None:
        return {}
    critic = partial(_logits, assembly, discriminator)
    with ExitStack() as stack:
        stack.enter_context(assembly.blamed("discriminator.loss"))
        stack.enter_context(torch.autocast(hr.device.type, enabled=False))
        if assembly.recipe.training.compile:  # the compiler has no second derivatives
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        value = game.penalty(critic, hr.float(), sr.detach().float())
        require_loss(value)
    return {"discriminator_penalty": value}


def anchor_of(generator: nn.Module, start: StartSpec | None) -> dict[str, Tensor]:
    """Copy the weights that L2-SP draws a network to: all that train and are not reinitialised."""
    if start is None or start.l2_sp is None:
        return {}
    return {
        key: parameter.detach().float().clone()
        for key, parameter in generator.named_parameters()
        if parameter.requires_grad and not any(fnmatch(key, p) for p in start.reinitialise)
    }


def _anchor_term(generator: nn.Module, anchor: dict[str, Tensor], start: StartSpec | None) -> Terms:
    """Weight the distance from the starting weights.

    The penalty is that of Li, Grandvalet & Davoine (2018), equation 4, without its second term, the
    squared norm of the parameters that have no starting weights.
    """
    if not anchor or start is None or start.l2_sp is None:
        return {}
    parameters = dict(generator.named_parameters())
    moved = [(parameters[key].float() - at).square().sum() for key, at in anchor.items()]
    return {"l2_sp": start.l2_sp / 2 * torch.stack(moved).sum()}


def pixel_terms(assembly: Assembly, sr: Tensor, view: View) -> Terms:
    """Weight the losses on images."""
    terms = {}
    for name, loss in assembly.losses.items():
        if assembly.rests(f"losses.{name}"):
            continue
        if isinstance(loss, ViewLoss):
            terms[name] = _term(assembly, name, loss, sr, view)
        elif not isinstance(loss, TeacherLoss | VarianceLoss):
            terms[name] = _term(assembly, name, loss, sr, view.stretched)
    return terms


def _term(assembly: Assembly, name: str, loss: Callable[..., Tensor], *given: object) -> Tensor:
    """Compute a loss and weight it."""
    with assembly.blamed(f"losses.{name}"):
        with unchanged("a loss", *given):
            value = loss(*given)
        require_loss(value)
    return assembly.weight_of(f"losses.{name}") * value


def variance_terms(assembly: Assembly, sr: Tensor, log_variance: Tensor, batch: Batch) -> Terms:
    """Weight the losses on SR and its predicted variance."""
    return {
        name: _term(assembly, name, loss, sr, log_variance, batch)
        for name, loss in assembly.losses.items()
        if isinstance(loss, VarianceLoss)
    }


def teacher_terms(assembly: Assembly, sr: Tensor, batch: Batch) -> Terms:
    """Weight the losses on teachers' answers; each teacher runs once on SR and once on HR."""
    terms: Terms = {}
    for teacher_name, teacher in assembly.teachers.items():
        losses = assembly.losses_on(teacher_name)
        losses = {k: loss for k, loss in losses.items() if not assembly.rests(f"losses.{k}")}
        if not losses:
            continue
        stages = wanted_stages(losses, teacher)
        kept = assembly.kept.get(teacher_name)
        with torch.no_grad():
            if kept is not None and not stages:
                target = kept.recall(batch, partial(teacher, batch.hr))
            else:
                target = assembly.answer(teacher_name, batch.hr, stages)
        answer = assembly.answer(teacher_name, sr, stages)
        for name, loss in losses.items():
            terms[name] = _term(assembly, name, loss, answer, target, batch)
    return terms


def _uncertainty_turn(assembly: Assembly, wrap: Wrap) -> Turn:
    """Return the turn of the head, which lowers the same losses as the generator.

    Each network is constant in the other's turn, and both step after both turns: together they
    descend the one likelihood.
    """
    head, recipe = assembly.uncertainty, assembly.recipe
    assert head is not None and recipe.uncertainty is not None
    own = "uncertainty" if recipe.uncertainty.optimiser else "training"
    optimiser = make_optimiser(assembly, f"{own}.optimiser", head)
    wrapped = wrap(head)

    def compute(view: View, restored: Restored) -> Terms:
        wrapped.train()
        log_variance = predict_log_variance(wrapped, restored.output, view.stretched)
        terms = variance_terms(assembly, restored.sr.detach(), log_variance, view.stretched)
        return {f"{name}_of_variance": term for name, term in terms.items()}

    return Turn("uncertainty", head, wrapped, optimiser, _after_generator(compute))


def _discriminator_turn(assembly: Assembly, wrap: Wrap) -> Turn:
    spec, discriminator = assembly.recipe.discriminator, assembly.discriminator
    assert spec is not None and isinstance(discriminator, nn.Module)
    optimiser = make_optimiser(assembly, "discriminator.optimiser", discriminator)
    wrapped = wrap(discriminator)

    def compute(view: View, restored: Restored) -> Terms:
        wrapped.train()
        real, fake = (
            _logits(assembly, wrapped, images)
            for images in (view.stretched.hr, restored.sr.detach())
        )
        term = {"discriminator": _play(assembly, "discriminator", real, fake)}
        return term | penalty_term(assembly, wrapped, view.stretched.hr, restored.sr)

    return Turn("discriminator", discriminator, wrapped, optimiser, _after_generator(compute))


def _teacher_turn(assembly: Assembly, name: str, wrap: Wrap) -> Turn:
    network = _teacher(assembly, name)
    optimiser = make_optimiser(assembly, f"teachers.{name}.optimiser", network)
    wrapped = wrap(network)

    def cross_entropy(images: Tensor, batch: Batch) -> Tensor:
        answer: Answer = wrapped(images)
        truth = truth_of(answer.logits, batch, f"trained teacher '{name}'")
        return F.cross_entropy(answer.logits.float(), truth, ignore_index=VOID)

    def compute(view: View, restored: Restored | None) -> tuple[Terms, Restored | None]:
        wrapped.train()
        terms = {f"{name}_hr": cross_entropy(view.stretched.hr, view.stretched)}
        if restored is not None:
            terms[f"{name}_sr"] = cross_entropy(restored.sr.detach(), view.stretched)
        return terms, restored

    return Turn(f"teachers.{name}", network, wrapped, optimiser, compute)


def _after_generator(compute: Callable[[View, Restored], Terms]) -> Compute:
    """Let a turn read what the generator's turn, which comes before it, returned."""

    def after(view: View, restored: Restored | None) -> tuple[Terms, Restored]:
        assert restored is not None
        return compute(view, restored), restored

    return after


def _teacher(assembly: Assembly, name: str) -> nn.Module:
    teacher = assembly.teachers[name]
    assert isinstance(teacher, nn.Module)
    return teacher
