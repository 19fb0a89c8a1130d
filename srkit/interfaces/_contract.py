"""What components have to be and to return; the sentences are the same in a run and in a test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from srkit.errors import ContractError
from srkit.interfaces.augmentations import SampleAugmentation
from srkit.interfaces.datasets import Dataset
from srkit.interfaces.degradations import Constraint, Degradation, Stretch
from srkit.interfaces.games import Game
from srkit.interfaces.metrics import Metric, PooledMetric
from srkit.interfaces.networks import Answer, Discriminator, Generator, Teacher
from srkit.interfaces.samples import Batch, Sample, Task
from srkit.interfaces.training import Optimiser, Tracker
from srkit.interfaces.view import View

#: The protocol of each kind of component whose members are checked when it is built.
PROTOCOLS: dict[str, type] = {
    "datasets": Dataset,
    "augmentations": SampleAugmentation,
    "degradations": Degradation,
    "stretches": Stretch,
    "constraints": Constraint,
    "generators": Generator,
    "discriminators": Discriminator,
    "games": Game,
    "teachers": Teacher,
    "metrics": Metric,
    "trackers": Tracker,
}
#: Kinds of components that are networks.
NETWORKS = ("generators", "discriminators", "teachers")


def require(condition: bool, sentence: str) -> None:
    """Raise ContractError unless a condition holds, even if Python runs with -O."""
    if not condition:
        raise ContractError(sentence)


def members_of(protocol: type) -> list[str]:
    """List the attributes and methods that an interface names."""
    special = ("__len__", "__getitem__")
    methods = [name for name in vars(protocol) if not name.startswith("_") or name in special]
    return list(dict.fromkeys([*vars(protocol).get("__annotations__", {}), *methods]))


def require_attributes(component: object, protocol: type) -> None:
    """Require all members of a protocol."""
    for name in members_of(protocol):
        require(
            hasattr(component, name),
            f"{type(component).__name__} lacks '{name}', see srkit.interfaces.{protocol.__name__}",
        )


def require_tensor(found: object, what: str) -> None:
    """Require a tensor."""
    if not isinstance(found, Tensor):  # sentences are formed only if needed: this runs in steps
        raise ContractError(f"{what} must be a tensor, got {type(found).__name__}")


def require_shape(found: object, shape: Sequence[int], what: str) -> None:
    """Require a tensor of a shape."""
    require_tensor(found, what)
    assert isinstance(found, Tensor)
    if found.shape != tuple(shape):
        raise ContractError(f"{what} must have the shape {tuple(shape)}, got {tuple(found.shape)}")


def require_component(component: Any, kind: str) -> None:
    """Require what can be seen of a component before it is used: its members and their types."""
    name = type(component).__name__
    if kind in NETWORKS:
        require(isinstance(component, nn.Module), f"{name} must be a torch module")
    if kind in PROTOCOLS:
        require_attributes(component, PROTOCOLS[kind])
    if kind not in ("datasets", "games", "trackers"):
        require(callable(component), f"{name} must be callable")
    if kind == "degradations":
        factor = component.factor
        known = isinstance(factor, int | float) and factor > 0
        require(known, f"factor must be a positive number, got {factor!r}")
    if kind == "augmentations":
        for key in ("keeps_flux", "keeps_truth"):
            value = getattr(component, key)
            require(isinstance(value, bool), f"{key} must be a bool, got {value!r}")
    if kind == "generators":
        for key in ("scale", "channels"):
            value = getattr(component, key)
            known = isinstance(value, int) and value > 0
            require(known, f"{key} must be a positive integer, got {value!r}")
    if kind == "teachers":
        tasks, task = get_args(Task), getattr(component, "task", "classification")
        require(task in tasks, f"task must be one of {', '.join(tasks)}, got {task!r}")
    if kind == "optimisers":
        require_optimiser(component)
    if kind == "schedules":
        require_factor(component(0, 100, 10.0))
    if kind == "metrics":
        better = component.higher_is_better
        require(isinstance(better, bool), f"higher_is_better must be a bool, got {better!r}")
        for key in ("unit", "protocol"):
            value = getattr(component, key)
            require(isinstance(value, str), f"{key} must be text, got {value!r}")
        require(bool(component.protocol.strip()), "protocol must say how the metric is measured")


def require_optimiser(component: Optimiser) -> None:
    """Require an optimiser of torch whose state checkpoints can hold, after a step on a sample."""
    weights, biases = (torch.full(shape, 0.5) for shape in ((4, 3, 3, 3), (4,)))
    parameters = [nn.Parameter(weights), nn.Parameter(biases)]
    optimiser = component(parameters)
    found = type(optimiser).__name__
    require(
        isinstance(optimiser, Optimizer),
        f"an optimiser must return a torch.optim.Optimizer, got {found}",
    )
    for parameter in parameters:
        parameter.grad = torch.linspace(-1, 1, parameter.numel()).view_as(parameter)
    settings = [dict(group) for group in optimiser.param_groups]
    optimiser.step()
    changed = [
        {key: value for key, value in group.items() if value is not built.get(key)}
        for group, built in zip(optimiser.param_groups, settings, strict=True)
    ]
    for number, values in [*optimiser.state_dict()["state"].items(), *enumerate(changed)]:
        require(isinstance(number, int), f"state of {found} must belong to parameters: '{number}'")
        for key, value in values.items():
            require(
                _is_storable(value),
                f"'{key}' in the state of {found} must consist of tensors, numbers and text, got "
                f"{type(value).__name__}",
            )


def _is_storable(value: Any) -> bool:
    """Return whether a checkpoint can hold a value."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_storable(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_storable, value))
    return value is None or isinstance(value, Tensor | bool | int | float | str)


def require_factor(factor: Any) -> None:
    """Require a factor of the learning rate."""
    known = isinstance(factor, int | float) and 0 <= factor < math.inf
    require(known, f"a schedule must return a number from 0, got {factor!r}")


def require_sample(sample: Any, channels: int) -> None:
    """Require a sample whose images have the right type and number of channels."""
    require(isinstance(sample, Sample), f"a sample must be a Sample, got {type(sample).__name__}")
    images = {"hr": sample.hr} if sample.lr is None else {"hr": sample.hr, "lr": sample.lr}
    for name, image in images.items():
        what = f"{sample.name}: {name}"
        require_tensor(image, what)
        require(image.dtype == torch.float32, f"{what} must be float32, got {image.dtype}")
        shape = tuple(image.shape)
        require(
            image.ndim == 3 and shape[0] == channels,
            f"{what} must have the shape ({channels}, H, W), got {shape}",
        )


def require_augmented(augmented: Any, batch: Batch) -> None:
    """Require a batch whose images have the sizes that they had before an augmentation."""
    found = type(augmented).__name__
    require(isinstance(augmented, Batch), f"an augmented batch must be a Batch, got {found}")
    require_shape(augmented.hr, batch.hr.shape, "augmented HR")
    assert batch.lr is not None
    require_shape(augmented.lr, batch.lr.shape, "augmented LR")


def require_lr(lr: Any, hr: Tensor, factor: float) -> None:
    """Require LR of the size that the factor of the degradation states."""
    # The small amount keeps 0.07 * 100 = 7.000000000000001 from counting as 8.
    sides = [max(1, math.ceil(factor * side - 1e-6)) for side in hr.shape[-2:]]
    require_shape(lr, (*hr.shape[:2], *sides), f"LR at the factor {factor:g}")
    require(lr.dtype == hr.dtype, f"LR must have the type {hr.dtype}, got {lr.dtype}")


def require_sr(sr: Any, lr: Tensor, scale: int) -> None:
    """Require SR of the size that the scale of the generator states."""
    count, channels, height, width = lr.shape
    require_shape(sr, (count, channels, scale * height, scale * width), f"SR at scale {scale}")


def require_logits(logits: Any, count: int) -> list[Tensor]:
    """Require logits of a discriminator for each of some images; return those of each scale."""
    scales = list(logits) if isinstance(logits, list | tuple) else [logits]
    require(bool(scales), "a discriminator must return logits, got an empty sequence")
    for each in scales:
        require_tensor(each, "the logits")
        require(
            each.ndim > 0 and len(each) == count,
            f"logits of {count} images must have a shape that starts with {count}, "
            f"got {tuple(each.shape)}",
        )
    return scales


@contextmanager
def unchanged(what: str, *given: object) -> Iterator[None]:
    """Require that a component does not change its arguments in place: torch counts such changes.

    Tensors of the inference mode are not counted, and not checked.
    """
    tensors = [each for each in _tensors(given) if not each.is_inference()]
    versions = [each._version for each in tensors]
    yield
    same = versions == [each._version for each in tensors]
    require(same, f"{what} must not change its arguments in place")


def _tensors(given: Iterable[object]) -> Iterator[Tensor]:
    """Iterate over the images, logits and feature maps among some arguments."""
    for each in given:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, Batch):
            yield from _tensors((each.hr, each.lr, each.variance))
        elif isinstance(each, View):
            yield from _tensors((each.flux, each.stretched))
        elif isinstance(each, Answer):
            yield from _tensors((each.logits, *each.features.values()))


def require_loss(value: Any) -> None:
    """Require a loss to be a scalar."""
    require_shape(value, (), "a loss")
    if not value.is_floating_point():
        raise ContractError(f"a loss must be a float, got {value.dtype}")


def require_values(values: Any, metric: object, count: int) -> None:
    """Require a number, or what is pooled, for each of some images."""
    if isinstance(metric, PooledMetric):
        found = len(values) if isinstance(values, Sequence) else type(values).__name__
        require(
            found == count, f"a pooled metric must return data for each of {count} images: {found}"
        )
        return
    require_shape(values, (count,), "the values of a metric")
    require(values.is_floating_point(), f"a metric must return floats, got {values.dtype}")


def require_answer(answer: Any, teacher: Teacher, images: Tensor, stages: Sequence[str]) -> None:
    """Require the logits and feature maps of a teacher's task, for the requested stages."""
    task: Task = getattr(teacher, "task", "classification")
    name = type(answer).__name__
    require(isinstance(answer, Answer), f"a teacher must return an Answer, got {name}")
    require_tensor(answer.logits, "the logits")
    count, size = len(images), images.shape[-2:]
    rest = tuple(answer.logits.shape[1:])
    shapes: dict[Task, tuple[int, ...]] = {
        "classification": (count, teacher.classes),
        "segmentation": (count, teacher.classes, *size),
        "detection": (count, *rest[:2]),
        "embedding": (count, *rest[:1]),
    }
    require_shape(answer.logits, shapes[task], f"logits of {task}")
    require(answer.logits.dtype == torch.float32, f"logits must be float32: {answer.logits.dtype}")
    found = sorted(answer.features)
    require(found == sorted(stages), f"features of {sorted(stages)} were requested, got {found}")
    for stage, features in answer.features.items():
        require_tensor(features, f"features of '{stage}'")
        shape = tuple(features.shape)
        require(
            len(shape) in ((3, 4) if task == "detection" else (4,)) and shape[0] == count,
            f"features of '{stage}' must have the shape ({count}, C, H, W), got {shape}",
        )
