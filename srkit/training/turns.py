"""From a recipe's components to turns: who is optimised, by which terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from srkit.assembly.assembly import Assembly
from srkit.assembly.restore import predict, settle
from srkit.assembly.teachers import wanted_stages
from srkit.data.truth import truth_of
from srkit.functional._adversarial import GAMES
from srkit.interfaces import (
    VOID,
    Answer,
    Batch,
    Teacher,
    TeacherLoss,
    VarianceLoss,
    ViewLoss,
)
from srkit.interfaces.view import View
from srkit.recipe.parts import StartSpec
from srkit.training.freezing import Freezing
from srkit.training.optimisers import make_optimiser


@dataclass(slots=True)
class Scene:
    """What the turns of one step share.

    Parameters
    ----------
    view
        HR, LR and labels.
    output
        What the generator made of it, on its own grid; None before its turn.
    sr
        The same, as networks see it, brought to the HR size and to its constraint.
    """

    view: View
    output: Tensor | None = None
    sr: Tensor | None = None

    @property
    def batch(self) -> Batch:
        """The batch as networks and losses see it."""
        return self.view.seen


Terms = Callable[[Scene], dict[str, Tensor]]


@dataclass(slots=True)
class Turn:
    """Somebody's move in a step.

    Parameters
    ----------
    name
        Who: ``generator``, ``discriminator``, or a teacher's name.
    network
        What the optimiser changes.
    prepared
        The network as it runs in its own turn: wrapped for several processes.
    optimiser
        Changes it.
    terms
        The weighted terms of its loss, by name.
    lr
        Learning rate before the schedule.
    anchor
        The starting weights that the network is held to, by parameter; empty without L2-SP.
    freezing
        What of the network is frozen at a step; None where nothing ever is.
    """

    name: str
    network: nn.Module
    prepared: nn.Module
    optimiser: Optimizer
    terms: Terms
    lr: float
    anchor: dict[str, Tensor] = field(default_factory=dict)
    freezing: Freezing | None = None
    trainable: list[nn.Parameter] = field(init=False)

    def __post_init__(self) -> None:
        self.trainable = [p for p in self.network.parameters() if p.requires_grad]

    @contextmanager
    def alone(self, turns: Iterable[Turn]) -> Iterator[None]:
        """Let gradients reach this turn's parameters and nobody else's."""
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


def make_turns(assembly: Assembly, wrap: Callable[[nn.Module], nn.Module]) -> list[Turn]:
    """Make the turns of a recipe, the generator's first.

    Parameters
    ----------
    assembly
        The built components, on their device.
    wrap
        Prepares a network that is optimised (for several processes and mixed precision). In the
        turns of others it runs unwrapped, since it gathers no gradients there.
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
    return turns


def _generator_turn(whole: Assembly, wrap: Callable[[nn.Module], nn.Module]) -> Turn:
    recipe, generator = whole.recipe, whole.generator
    assert isinstance(generator, nn.Module)
    freezing = Freezing.of(generator, recipe.start)
    anchor = starting_point(generator, recipe.start)
    parameters = dict(generator.named_parameters())
    wrapped = wrap(generator)

    def terms(scene: Scene) -> dict[str, Tensor]:
        assembly = whole.by_scale[generator.scale]
        wrapped.train()
        freezing.settle()
        for teacher in assembly.teachers.values():
            _module(teacher).eval()
        assert scene.batch.lr is not None
        scene.output = wrapped(scene.batch.lr).float()
        scene.sr = settle(scene.output, scene.view, assembly.constraint)
        found = pixel_terms(assembly, scene) | teacher_terms(assembly, scene)
        if assembly.uncertainty is not None:
            with torch.no_grad():  # the head has a turn of its own
                log_variance = predict(assembly.uncertainty, scene.output, scene.batch)
            found |= variance_terms(assembly, scene.sr, log_variance, scene.batch)
        if assembly.discriminator is not None and recipe.discriminator is not None:
            game = GAMES[recipe.discriminator.loss]
            fake = assembly.discriminator(scene.sr).float()
            real = fake
            if game.relative:
                with torch.no_grad():
                    real = assembly.discriminator(scene.batch.hr).float()
            found["adversarial"] = recipe.discriminator.weight * game.generator(real, fake)
        if anchor and recipe.start is not None and recipe.start.l2_sp is not None:
            moved = [(parameters[key].float() - at).square().sum() for key, at in anchor.items()]
            found["l2_sp"] = recipe.start.l2_sp / 2 * torch.stack(moved).sum()
        return found

    turn = _turn("generator", generator, wrapped, terms, whole)
    turn.anchor, turn.freezing = anchor, freezing
    return turn


def starting_point(generator: nn.Module, start: StartSpec | None) -> dict[str, Tensor]:
    """Copy the weights that L2-SP holds a network to: all that train and did not start afresh.

    The penalty is that of Li, Grandvalet & Davoine (2018), equation 4, without its second part.
    """
    if start is None or start.l2_sp is None:
        return {}
    return {
        key: parameter.detach().float().clone()
        for key, parameter in generator.named_parameters()
        if parameter.requires_grad and not any(fnmatch(key, p) for p in start.reinitialise)
    }


def pixel_terms(assembly: Assembly, scene: Scene) -> dict[str, Tensor]:
    """Weigh the losses on images."""
    assert scene.sr is not None
    found = {}
    for name, loss in assembly.losses.items():
        weight = assembly.recipe.losses[name].weight
        if isinstance(loss, ViewLoss):
            found[name] = weight * loss(scene.sr, scene.view)
        elif not isinstance(loss, TeacherLoss | VarianceLoss):
            found[name] = weight * loss(scene.sr, scene.batch)
    return found


def variance_terms(
    assembly: Assembly, sr: Tensor, log_variance: Tensor, batch: Batch
) -> dict[str, Tensor]:
    """Weigh the losses on SR and its predicted variance."""
    return {
        name: assembly.recipe.losses[name].weight * loss(sr, log_variance, batch)
        for name, loss in assembly.losses.items()
        if isinstance(loss, VarianceLoss)
    }


def teacher_terms(assembly: Assembly, scene: Scene) -> dict[str, Tensor]:
    """Weigh the losses on teachers' answers; each teacher is asked once for SR and once for HR."""
    assert scene.sr is not None
    specs = assembly.recipe.losses
    found: dict[str, Tensor] = {}
    for teacher_name, teacher in assembly.teachers.items():
        losses = {
            name: loss
            for name, loss in assembly.losses.items()
            if isinstance(loss, TeacherLoss) and assembly.teacher_of(specs[name]) == teacher_name
        }
        if not losses:
            continue
        stages = wanted_stages(losses, teacher)
        kept = assembly.kept.get(teacher_name)
        with torch.no_grad():
            if kept is not None and not stages:
                target = kept.recall(scene.batch, partial(teacher, scene.batch.hr))
            else:
                target = teacher(scene.batch.hr, stages)
        answer = teacher(scene.sr, stages)
        for name, loss in losses.items():
            found[name] = specs[name].weight * loss(answer, target, scene.batch)
    return found


def _uncertainty_turn(assembly: Assembly, wrap: Callable[[nn.Module], nn.Module]) -> Turn:
    """The head lowers the same losses as the generator; each is constant in the other's turn.

    Both step after both have looked, so together they descend the one likelihood.
    """
    head = assembly.uncertainty
    assert head is not None
    wrapped = wrap(head)

    def terms(scene: Scene) -> dict[str, Tensor]:
        assert scene.output is not None and scene.sr is not None
        wrapped.train()
        log_variance = predict(wrapped, scene.output, scene.batch)
        found = variance_terms(assembly, scene.sr.detach(), log_variance, scene.batch)
        return {f"{name}_of_variance": term for name, term in found.items()}

    return _turn("uncertainty", head, wrapped, terms, assembly)


def _discriminator_turn(assembly: Assembly, wrap: Callable[[nn.Module], nn.Module]) -> Turn:
    spec, discriminator = assembly.recipe.discriminator, assembly.discriminator
    assert spec is not None and isinstance(discriminator, nn.Module)
    wrapped = wrap(discriminator)

    def terms(scene: Scene) -> dict[str, Tensor]:
        assert scene.sr is not None
        wrapped.train()
        real, fake = wrapped(scene.batch.hr), wrapped(scene.sr.detach())
        return {"discriminator": GAMES[spec.loss].discriminator(real.float(), fake.float())}

    return _turn("discriminator", discriminator, wrapped, terms, assembly)


def _teacher_turn(assembly: Assembly, name: str, wrap: Callable[[nn.Module], nn.Module]) -> Turn:
    network = _module(assembly.teachers[name])
    wrapped = wrap(network)

    def cross_entropy(images: Tensor, batch: Batch) -> Tensor:
        answer: Answer = wrapped(images)
        truth = truth_of(answer.logits, batch, f"trained teacher '{name}'")
        return F.cross_entropy(answer.logits.float(), truth, ignore_index=VOID)

    def terms(scene: Scene) -> dict[str, Tensor]:
        wrapped.train()
        found = {f"{name}_hr": cross_entropy(scene.batch.hr, scene.batch)}
        if scene.sr is not None:
            found[f"{name}_sr"] = cross_entropy(scene.sr.detach(), scene.batch)
        return found

    return _turn(f"teachers.{name}", network, wrapped, terms, assembly)


def _turn(
    name: str, network: nn.Module, prepared: nn.Module, terms: Terms, assembly: Assembly
) -> Turn:
    recipe = assembly.recipe
    if name == "generator":
        spec = recipe.training.optimiser
    elif name == "discriminator" and recipe.discriminator is not None:
        spec = recipe.discriminator.optimiser
    elif name == "uncertainty" and recipe.uncertainty is not None:
        spec = recipe.uncertainty.optimiser or recipe.training.optimiser
    else:
        spec = recipe.teachers[name.removeprefix("teachers.")].optimiser
    optimiser = make_optimiser(spec, network.parameters())
    return Turn(name, network, prepared, optimiser, terms, spec.lr)


def _module(teacher: Teacher) -> nn.Module:
    assert isinstance(teacher, nn.Module)
    return teacher
