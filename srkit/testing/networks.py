"""Check generators, discriminators and teachers."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from srkit.data.scales import set_scale
from srkit.data.truth import task_of
from srkit.errors import WeightsError
from srkit.interfaces import (
    Answer,
    Boxes,
    Discriminator,
    FeatureDiscriminator,
    Generator,
    MultiScale,
    Published,
    Teacher,
)
from srkit.interfaces._contract import (
    require,
    require_answer,
    require_component,
    require_logits,
    require_shape,
    require_sr,
    require_tensor,
)
from srkit.testing._requirements import (
    noise,
    require_close,
    require_finite,
    require_gradient,
    require_unchanged,
    stated,
)
from srkit.training.recomputation import recompute_activations
from srkit.weights.files import fetch, published_of


@stated
def check_generator(generator: Generator, scale: int | None = None) -> None:
    """Check a super-resolution network on random images of odd sizes.

    Parameters
    ----------
    generator
        A module.
    scale
        The scale for which it was built, if it has only one.

    Raises
    ------
    AssertionError
        If the size of SR is wrong at any scale, a parameter has no gradient, `stages` does not
        contain every parameter once and in order, the gradients change if the stages are computed
        again in the backward pass, or the weights change in a safetensors file and `adapt`; or if,
        in evaluation mode, images of a batch affect each other, the output is not
        deterministic, or bf16 autocast fails.
    """
    require_component(generator, "generators")
    require(
        scale in (None, generator.scale),
        f"its scale is {generator.scale}, but it is built for scale {scale}",
    )
    network = _copied(generator)
    lr = noise(2, generator.channels, 13, 17)
    require_unchanged(_copied(generator).eval(), lr, what="a generator")
    scales = generator.scales if isinstance(generator, MultiScale) else (generator.scale,)
    shapes = {scale: (2, generator.channels, 13 * scale, 17 * scale) for scale in scales}
    outputs = []
    for scale in scales:
        set_scale(network, scale)
        sr = network(lr)
        require_sr(sr, lr, scale)
        require(sr.dtype == lr.dtype, f"SR must have the type {lr.dtype}, got {sr.dtype}")
        outputs.append(sr.flatten())
    _check_gradients(network, torch.cat(outputs))
    for scale, shape in shapes.items():
        set_scale(network, scale)
        _check_stages(network, lr)
        _check_recomputation(network, lr)
        _check_evaluation(network, lr)
        _check_autocast(network, lr, shape)
    _check_weights(network, _copied(generator), getattr(network, "adapt", dict))
    for name, weights in published_of(generator).items():
        _check_published(name, weights)


def _check_stages(network: Any, lr: Tensor) -> None:
    stages: Mapping[str, nn.Module] = network.stages()
    held = [id(p) for stage in stages.values() for p in stage.parameters()]
    for name, parameter in network.named_parameters():
        count = held.count(id(parameter))
        require(count == 1, f"parameter '{name}' is in {count} stages; it must be in exactly 1")
    reached: list[str] = []
    hooks = [
        stage.register_forward_pre_hook(lambda *_, name=name: reached.append(name))
        for name, stage in stages.items()
    ]
    network(lr)
    for hook in hooks:
        hook.remove()
    ran = list(dict.fromkeys(reached))
    listed = [name for name in stages if name in ran]
    require(ran == listed, f"stages() must go from input to output: {ran}, got {listed}")


def _check_recomputation(network: nn.Module, lr: Tensor) -> None:
    """Check that ``training.checkpoint_activations`` does not change the gradients."""
    plain, saving = _copied(network), _copied(network)
    recompute_activations(saving.stages().values())
    for version in (plain, saving):
        version.zero_grad()
        torch.default_generator.manual_seed(0)
        sr = version(lr)
        torch.autograd.backward((sr * noise(*sr.shape)).sum())
    expected = dict(plain.named_parameters())
    for name, parameter in saving.named_parameters():
        found, true = parameter.grad, expected[name].grad
        same = found is true if found is None or true is None else torch.equal(found, true)
        require(same, f"the gradient of '{name}' changes if its stage is computed again")


def _check_published(name: str, weights: Published) -> None:
    require(
        re.fullmatch(r"[0-9a-f]{64}", weights.sha256) is not None,
        f"published weights '{name}': sha256 must consist of 64 hexadecimal digits",
    )
    if weights.url.startswith("package:"):
        try:
            fetch(name, weights)
        except WeightsError as error:
            raise AssertionError(f"published weights '{name}': {error}") from error
    else:
        require(
            weights.url.startswith("https://"),
            f"published weights '{name}': the URL must be https",
        )
    require(bool(weights.licence), f"published weights '{name}' must have a licence")


@stated
def check_discriminator(
    discriminator: Discriminator, channels: int = 3, size: tuple[int, int] = (64, 64)
) -> None:
    """Check a discriminator on random images.

    Parameters
    ----------
    discriminator
        A module.
    channels, size
        Number of channels, and sides in pixels, of the images.

    Raises
    ------
    AssertionError
        If it does not return finite logits for every image, the images or a parameter have no
        gradient, or the weights change in a safetensors file.
    """
    require_component(discriminator, "discriminators")
    network = _copied(discriminator)
    images = noise(2, channels, *size)
    require_unchanged(_copied(discriminator).eval(), images, what="a discriminator")
    images.requires_grad_()
    logits = _joined(network, images)
    _check_gradients(network, logits)
    require_gradient(images.grad, "the images")
    network.eval()
    _check_evaluation(partial(_joined, network), images.detach())
    _check_autocast(partial(_joined, network), images.detach(), tuple(logits.shape))
    if isinstance(network, FeatureDiscriminator):
        for number, features in enumerate(network.features(images.detach())):
            require_tensor(features, f"feature map {number}")
            require(
                len(features) == 2, f"feature map {number} must have a shape that starts with 2"
            )
    _check_weights(network, _copied(discriminator), dict)


def _joined(discriminator: Callable[[Tensor], object], images: Tensor) -> Tensor:
    """Return the logits of all scales of a discriminator, ``(N, K)``."""
    scales = require_logits(discriminator(images), len(images))
    return torch.cat([logits.reshape(len(images), -1) for logits in scales], 1)


@stated
def check_teacher(teacher: Teacher, size: tuple[int, int] = (64, 64)) -> None:
    """Check a teacher of any task on random images.

    Parameters
    ----------
    teacher
        A module.
    size
        Sides of the images in pixels.

    Raises
    ------
    AssertionError
        If logits are not float32 or do not have the shape of its task (also in bf16 autocast),
        features are not the requested ones or need a second pass, an unknown stage is not refused,
        the images have no gradient, outputs in evaluation mode are not deterministic, or a
        detector finds no boxes.
    """
    require_component(teacher, "teachers")
    network = _copied(teacher).eval()
    images, stages = noise(2, 3, *size), tuple(teacher.stages)
    require_unchanged(network, images, what="a teacher")
    images.requires_grad_()
    passes, answer = _count_passes(network, images, stages)
    _check_answer(answer, teacher, images, stages)
    require(
        passes == _count_passes(network, images, ())[0],
        "features and logits must result from a single pass through the network",
    )
    torch.autograd.backward(answer.logits.sum())
    require_gradient(images.grad, "the images")
    _check_evaluation(lambda given: network(given, ()).logits, images.detach())
    with torch.autocast("cpu", torch.bfloat16):
        _check_answer(network(images.detach(), stages), teacher, images, stages)
    try:
        network(images, ("no such stage",))
    except ValueError:
        return
    raise AssertionError("an unknown stage must raise ValueError that lists the known stages")


def _check_answer(answer: Answer, teacher: Teacher, images: Tensor, stages: Sequence[str]) -> None:
    require_answer(answer, teacher, images, stages)
    require_finite(answer.logits, "the logits")
    if task_of(teacher) == "detection":
        given = [] if answer.find is None else answer.find()
        require(len(given) == 2, "a detector must return boxes for each of 2 images")
        for boxes in given:
            _check_boxes(boxes)


def _check_boxes(boxes: Boxes) -> None:
    count = len(boxes.labels)
    require_shape(boxes.corners, (count, 4), "corners of boxes")
    require(boxes.scores is not None, "the boxes of a detector must have scores")
    assert boxes.scores is not None
    require_shape(boxes.scores, (count,), "scores of boxes")
    falling = bool((boxes.scores.diff() <= 0).all())
    require(falling, "a detector must return its boxes in the order of decreasing scores")


def _count_passes(network: nn.Module, images: Tensor, stages: Sequence[str]) -> tuple[int, Answer]:
    """Return how often the most frequently used layer runs, and the answer."""
    runs: list[int] = []
    layers = [layer for layer in network.modules() if next(layer.children(), None) is None]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, _: runs.append(id(layer))) for layer in layers
    ]
    answer = network(images, stages)
    for hook in hooks:
        hook.remove()
    return max(map(runs.count, set(runs)), default=0), answer


def _check_gradients(network: nn.Module, output: Tensor) -> None:
    """Propagate a random gradient, since a constant one vanishes in normalisation layers."""
    require_finite(output, "the output")
    torch.autograd.backward((output * noise(*output.shape)).sum())
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            require_gradient(parameter.grad, f"parameter '{name}'")


def _check_evaluation(network: Callable[[Tensor], Tensor], images: Tensor) -> None:
    """Check that evaluation mode is deterministic and treats images independently."""
    if isinstance(network, nn.Module):
        network.eval()
    with torch.no_grad():
        whole = network(images)
        require(torch.equal(network(images), whole), "evaluation mode must be deterministic")
        single = torch.cat([network(images[i : i + 1]) for i in range(len(images))])
    require_close(single, whole, "in evaluation mode, images must not affect each other")


def _check_autocast(
    network: Callable[[Tensor], Tensor], images: Tensor, shape: Sequence[int]
) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = network(images)
    require_shape(output, shape, "the output in bf16 autocast")
    require_finite(output, "the output in bf16 autocast")


def _check_weights(
    network: nn.Module, other: nn.Module, adapt: Callable[[dict[str, Tensor]], Any]
) -> None:
    """Copy the weights of a network to another instance by a safetensors file."""
    state = network.state_dict()
    try:
        stored = load(save({name: tensor.contiguous() for name, tensor in state.items()}))
    except RuntimeError as error:
        raise AssertionError(f"the weights do not fit in a safetensors file: {error}") from error
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    try:
        other.load_state_dict(adapt(stored))
    except RuntimeError as error:
        raise AssertionError(f"a network must be able to load its own weights: {error}") from error
    for name, tensor in other.state_dict().items():
        require(torch.equal(tensor, state[name]), f"'{name}' changes in a safetensors file")


def _copied(network: Any) -> Any:
    """Copy a module and set the copy to training mode."""
    require(isinstance(network, nn.Module), f"{type(network).__name__} must be a torch module")
    return copy.deepcopy(network).train()
