"""Contract checks for plugin authors: one for each kind of component.

Call them in the tests of a plugin, on small instances of its components. A check raises
AssertionError with a sentence that says what the contract is and what was found; it leaves the
component as it was.
"""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load, save
from torch import Tensor, nn

from srkit import interfaces
from srkit.components import explain, options, options_model, validate
from srkit.errors import DataError
from srkit.interfaces import (
    Answer,
    Batch,
    Dataset,
    Degradation,
    Discriminator,
    Generator,
    Image,
    ImageFormat,
    Loss,
    Metric,
    Published,
    Sample,
    Teacher,
    TeacherMetric,
)
from srkit.registry import Component

__all__ = [
    "check_component",
    "check_dataset",
    "check_degradation",
    "check_discriminator",
    "check_generator",
    "check_image_format",
    "check_loss",
    "check_metric",
    "check_teacher",
]

#: Classes of the made-up answers that teacher losses and metrics are tried on.
CLASSES = 10


def check_component(component: Component, /, **given: Any) -> None:
    """Check a factory: its signature, its documentation, and that it accepts options.

    Parameters
    ----------
    component
        What the registry knows of it, ``registry.get(kind, name)``.
    **given
        Options as a recipe would set them.

    Raises
    ------
    AssertionError
        If a parameter is positional, variadic or not annotated, the docstring lacks a summary or
        the meaning of an option, or `given` is refused.
    """
    factory = component.factory
    where = f"{component.kind} '{component.name}'"
    try:
        model = options_model(factory)
    except (TypeError, NameError) as error:
        raise AssertionError(f"{where}: {error}") from error
    _require(bool(component.summary), f"{where}: the docstring has to open with a summary")
    silent = [option.name for option in options(factory) if not option.meaning]
    _require(
        not silent,
        f"{where}: the docstring's 'Parameters' section has to say what these options mean: "
        f"{', '.join(silent)}",
    )
    try:
        validate(factory, given)
    except ValidationError as error:
        raise AssertionError("; ".join(explain(error, where, model))) from error


def check_dataset(dataset: Dataset) -> None:
    """Check a data set by its first, middle and last sample.

    Raises
    ------
    AssertionError
        If it is empty, gives different samples for an index, has no end, cannot be pickled (which
        worker processes need), or a sample breaks the rules of :class:`srkit.interfaces.Sample`.
    """
    _require_attributes(dataset, interfaces.Dataset)
    length = len(dataset)
    _require(length > 0, "a data set has to hold at least one sample; raise DataError otherwise")
    copied = pickle.loads(pickle.dumps(dataset))
    for index in sorted({0, length // 2, length - 1}):
        sample = dataset[index]
        _check_sample(sample, dataset)
        for again, how in ((dataset[index], "read twice"), (copied[index], "read after pickling")):
            same = again.name == sample.name and torch.equal(again.hr, sample.hr)
            _require(same, f"sample {index} differs when {how}; it has to stay the same")
    try:
        dataset[length]
    except IndexError:
        return
    raise AssertionError(f"dataset[{length}] has to raise IndexError: the length is {length}")


def _check_sample(sample: Sample, dataset: Dataset) -> None:
    images = {"hr": sample.hr} if sample.lr is None else {"hr": sample.hr, "lr": sample.lr}
    for name, image in images.items():
        what = f"{sample.name}: {name}"
        _require(image.dtype == torch.float32, f"{what} has to be float32, got {image.dtype}")
        shape = tuple(image.shape)
        _require(
            image.ndim == 3 and shape[0] == dataset.channels,
            f"{what} has to have the shape ({dataset.channels}, H, W), got {shape}",
        )
        _require_finite(image, what)
    low, high = sample.data_range
    _require(low < high, f"{sample.name}: the data range {low} to {high} is empty")
    if dataset.classes is not None:
        count = len(dataset.classes)
        known = sample.label is not None and 0 <= sample.label < count
        _require(known, f"{sample.name}: the label has to be in 0..{count - 1}: {sample.label}")


def check_degradation(degradation: Degradation, channels: int = 3) -> None:
    """Check a degradation on random images of odd sizes.

    Raises
    ------
    AssertionError
        If the size is not ``ceil(factor * side)``, a value is not finite, the images given are
        changed, or a sample depends on anything but its own image and seed.
    """
    _require_attributes(degradation, interfaces.Degradation)
    hr = _noise(2, channels, 45, 51)
    # Seeds are drawn from the whole range of non-negative int64.
    seeds = [7, 2**63 - 1]
    given = hr.clone()
    lr = degradation(hr, seeds)
    _require(torch.equal(hr, given), "a degradation must not change the images it is given")
    # The small amount keeps 0.07 * 100 = 7.000000000000001 from counting as 8.
    size = tuple(math.ceil(degradation.factor * side - 1e-6) for side in (45, 51))
    _require_shape(lr, (2, channels, *size), f"LR at the factor {degradation.factor:g}")
    _require(lr.dtype == hr.dtype, f"LR has to keep the type {hr.dtype}, got {lr.dtype}")
    _require_finite(lr, "LR")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        again = degradation(hr, seeds)
    _require(
        torch.equal(again, lr),
        "the same seeds have to give the same LR; draw from torch.Generator().manual_seed(seed)",
    )
    single = torch.cat([degradation(hr[i : i + 1], seeds[i : i + 1]) for i in range(2)])
    _require_close(single, lr, "LR of a sample has to depend on its own seed and image only")


def check_generator(generator: Generator) -> None:
    """Check a super-resolution network on random images of odd sizes.

    Raises
    ------
    AssertionError
        If the size of SR is wrong, a gradient does not reach a parameter, `stages` does not hold
        every parameter once and in order, the weights do not survive a safetensors file and
        `adapt`, or, in evaluation mode, images of a batch affect each other, answers differ, or
        bf16 autocast fails.
    """
    _require_attributes(generator, interfaces.Generator)
    network = _copied(generator)
    lr = _noise(2, generator.channels, 13, 17)
    shape = (2, generator.channels, 13 * generator.scale, 17 * generator.scale)
    sr = network(lr)
    _require_shape(sr, shape, f"SR at scale {generator.scale}")
    _require(sr.dtype == lr.dtype, f"SR has to keep the type {lr.dtype}, got {sr.dtype}")
    _check_gradients(network, sr)
    _check_stages(network, lr)
    _check_evaluation(network, lr)
    _check_autocast(network, lr, shape)
    _check_weights(network, _copied(generator), network.adapt)
    for name, weights in generator.published.items():
        _check_published(name, weights)


def _check_stages(network: Any, lr: Tensor) -> None:
    stages: Mapping[str, nn.Module] = network.stages()
    held = [id(p) for stage in stages.values() for p in stage.parameters()]
    for name, parameter in network.named_parameters():
        count = held.count(id(parameter))
        _require(count == 1, f"parameter '{name}' is in {count} stages; it has to be in exactly 1")
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
    _require(ran == listed, f"stages() has to go from input to output: {ran}, got {listed}")


def _check_published(name: str, weights: Published) -> None:
    _require(
        re.fullmatch(r"[0-9a-f]{64}", weights.sha256) is not None,
        f"published weights '{name}': sha256 has to be 64 hexadecimal digits",
    )
    _require(
        weights.url.startswith("https://"), f"published weights '{name}': the URL has to be https"
    )
    _require(bool(weights.licence), f"published weights '{name}' need a licence")


def check_discriminator(
    discriminator: Discriminator, channels: int = 3, size: tuple[int, int] = (64, 64)
) -> None:
    """Check a discriminator on random images.

    Parameters
    ----------
    discriminator
        A module.
    channels, size
        Shape of the images in pixels.

    Raises
    ------
    AssertionError
        If it does not give finite logits for every image, gradients do not reach the images and
        every parameter, or the weights do not survive a safetensors file.
    """
    _require_attributes(discriminator, interfaces.Discriminator)
    network = _copied(discriminator)
    images = _noise(2, channels, *size).requires_grad_()
    logits = network(images)
    _require(
        logits.ndim > 0 and len(logits) == 2,
        f"logits of 2 images have to have a shape that starts with 2, got {tuple(logits.shape)}",
    )
    _check_gradients(network, logits)
    _require_gradient(images.grad, "the images")
    _check_evaluation(network, images.detach())
    _check_autocast(network, images.detach(), tuple(logits.shape))
    _check_weights(network, _copied(discriminator), dict)


def check_teacher(teacher: Teacher, size: tuple[int, int] = (64, 64)) -> None:
    """Check a classifier on random images.

    Parameters
    ----------
    teacher
        A module.
    size
        Sides of the images in pixels.

    Raises
    ------
    AssertionError
        If logits are not ``(N, classes)`` float32 (also in bf16 autocast), features are not those
        asked for or cost a second pass, an unknown stage is not refused, a gradient does not
        reach the images, or answers in evaluation mode differ.
    """
    _require_attributes(teacher, interfaces.Teacher)
    network = _copied(teacher).eval()
    images = _noise(2, 3, *size).requires_grad_()
    stages = tuple(teacher.stages)
    passes, answer = _count_passes(network, images, stages)
    _check_answer(answer, teacher.classes, stages)
    _require(
        passes == _count_passes(network, images, ())[0],
        "features and logits have to come from one pass through the network",
    )
    torch.autograd.backward(answer.logits.sum())
    _require_gradient(images.grad, "the images")
    _check_evaluation(lambda given: network(given, ()).logits, images.detach())
    with torch.autocast("cpu", torch.bfloat16):
        _check_answer(network(images.detach(), stages), teacher.classes, stages)
    try:
        network(images, ("no such stage",))
    except ValueError:
        return
    raise AssertionError("an unknown stage has to raise ValueError that lists the known ones")


def _check_answer(answer: Answer, classes: int, stages: Sequence[str]) -> None:
    _require_shape(answer.logits, (2, classes), "logits")
    _require(
        answer.logits.dtype == torch.float32, f"logits have to be float32: {answer.logits.dtype}"
    )
    _require_finite(answer.logits, "the logits")
    found = sorted(answer.features)
    _require(found == sorted(stages), f"features of {sorted(stages)} were asked for, got {found}")
    for stage, features in answer.features.items():
        shape = tuple(features.shape)
        _require(
            len(shape) == 4 and shape[0] == 2,
            f"features of '{stage}' have to have the shape (2, C, H, W), got {shape}",
        )


def _count_passes(network: nn.Module, images: Tensor, stages: Sequence[str]) -> tuple[int, Answer]:
    """Count how often the busiest layer runs."""
    runs: list[int] = []
    layers = [layer for layer in network.modules() if next(layer.children(), None) is None]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, _: runs.append(id(layer))) for layer in layers
    ]
    answer = network(images, stages)
    for hook in hooks:
        hook.remove()
    return max(map(runs.count, set(runs)), default=0), answer


def check_loss(loss: Loss, channels: int = 3, size: tuple[int, int] = (32, 32)) -> None:
    """Check a loss on random images, or on random answers of a teacher.

    Parameters
    ----------
    loss
        On images, or on answers if it has the attribute `stages`.
    channels, size
        Shape of the images in pixels.

    Raises
    ------
    AssertionError
        If it is no finite scalar, its gradient is missing, not finite (also where SR equals HR),
        or does not point uphill.
    """
    batch = _batch(channels, size)
    inputs, evaluate = _as_function(loss, batch)
    start = inputs.clone().requires_grad_()
    value = evaluate(start)
    _require_shape(value, (), "a loss")
    _require_finite(value, "the loss")
    _require(value.requires_grad, "a loss has to be differentiable with respect to SR")
    (slope,) = torch.autograd.grad(value, start)
    _require_gradient(slope, "SR")
    step = 1e-2 * slope / slope.norm()
    _require(
        bool(evaluate(inputs - step) < evaluate(inputs + step)),
        "a step against the gradient has to lower the loss",
    )
    perfect = _perfect(loss, batch).requires_grad_()
    (slope,) = torch.autograd.grad(evaluate(perfect), perfect)
    _require_finite(slope, "the gradient where SR equals HR")
    with torch.autocast("cpu", torch.bfloat16):
        _require_finite(evaluate(inputs.bfloat16()), "the loss of bf16 images in autocast")


def check_metric(
    metric: Metric | TeacherMetric, channels: int = 3, size: tuple[int, int] = (32, 32)
) -> None:
    """Check a metric on random images, or on random answers of a teacher.

    Parameters
    ----------
    metric
        On images, or on answers if it has the attribute `stages`.
    channels, size
        Shape of the images in pixels.

    Raises
    ------
    AssertionError
        If it does not give a number for each image that depends on that image only, has no
        protocol, or finds a random image better than a perfect one.
    """
    _require_attributes(metric, interfaces.Metric)
    _require(isinstance(metric.higher_is_better, bool), "higher_is_better has to be a bool")
    _require(bool(metric.protocol.strip()), "protocol has to say how the number is measured")
    batch = _batch(channels, size)
    inputs, evaluate = _as_function(metric, batch)
    values = evaluate(inputs)
    _require_shape(values, (len(batch),), "the values of a metric")
    _require(values.is_floating_point(), f"a metric has to give floats, got {values.dtype}")
    alone = [_as_function(metric, _one(batch, i))[1](inputs[i : i + 1]) for i in range(len(batch))]
    _require_close(torch.cat(alone), values, "the value of an image has to depend on it alone")
    best = evaluate(_perfect(metric, batch))
    worse = best < values if metric.higher_is_better else best > values
    _require(
        not bool(worse.any() or best.isnan().any()),
        f"higher_is_better is {metric.higher_is_better}, yet a perfect image gets "
        f"{best.tolist()} and noise {values.tolist()}",
    )


def check_image_format(
    image_format: ImageFormat, folder: Path, channels: int = 3, tolerance: float = 0.5 / 255
) -> None:
    """Check a format by writing, reading and damaging files of each of its endings.

    Parameters
    ----------
    image_format
        The format.
    folder
        An empty folder for the files.
    channels
        Channels of the picture.
    tolerance
        Largest difference that a round trip may make to values in [0, 1]; the default allows for
        the rounding to 8 bits.

    Raises
    ------
    AssertionError
        If a picture comes back changed, or a damaged file does not raise DataError that names it.
    """
    _require_attributes(image_format, interfaces.ImageFormat)
    _require(bool(image_format.suffixes), "a format has to have a suffix")
    for suffix in image_format.suffixes:
        _require(
            suffix == suffix.lower() and suffix.startswith("."),
            f"the suffix '{suffix}' has to start with a dot and be in lower case",
        )
        path = folder / f"a picture{suffix}"
        picture = _smooth(channels, 37, 45)
        image_format.write(path, Image(picture))
        _check_picture(image_format.read(path), picture, tolerance, suffix)
        whole = path.read_bytes()
        for part in (0, len(whole) // 4, len(whole) // 2):
            path.write_bytes(whole[:part])
            _check_refused(image_format, path, f"cut to {part} of {len(whole)} bytes")


def _check_picture(found: Image, picture: Tensor, tolerance: float, suffix: str) -> None:
    _require_shape(found.pixels, tuple(picture.shape), f"a picture read from {suffix}")
    _require(
        found.pixels.dtype == torch.float32,
        f"{suffix}: pixels are {found.pixels.dtype}, not float32",
    )
    error = float((found.pixels - picture).abs().max())
    # Half a float32 rounding beside the tolerance.
    _require(
        error <= tolerance + 1e-6,
        f"a round trip through {suffix} changes values by up to {error:.4f}; "
        f"allowed: {tolerance:.4f}",
    )


def _check_refused(image_format: ImageFormat, path: Path, what: str) -> None:
    try:
        image_format.read(path)
    except DataError as error:
        _require(str(path) in str(error), f"the error for a damaged file has to name it: {error}")
        return
    raise AssertionError(f"reading a {path.suffix} file {what} has to raise DataError")


def _check_gradients(network: nn.Module, output: Tensor) -> None:
    """Send back a random gradient, since a constant one vanishes in normalisation layers."""
    _require_finite(output, "the output")
    torch.autograd.backward((output * _noise(*output.shape)).sum())
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            _require_gradient(parameter.grad, f"parameter '{name}'")


def _check_evaluation(network: Callable[[Tensor], Tensor], images: Tensor) -> None:
    """Check that evaluation mode is deterministic and takes each image by itself."""
    if isinstance(network, nn.Module):
        network.eval()
    with torch.no_grad():
        whole = network(images)
        _require(torch.equal(network(images), whole), "evaluation mode has to be deterministic")
        single = torch.cat([network(images[i : i + 1]) for i in range(len(images))])
    _require_close(single, whole, "in evaluation mode, images must not affect each other")


def _check_autocast(network: nn.Module, images: Tensor, shape: Sequence[int]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = network(images)
    _require_shape(output, shape, "the output in bf16 autocast")
    _require_finite(output, "the output in bf16 autocast")


def _check_weights(
    network: nn.Module, other: nn.Module, adapt: Callable[[dict[str, Tensor]], Any]
) -> None:
    """Bring the weights of a network to another instance by way of a safetensors file."""
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
        raise AssertionError(f"a network has to take its own weights back: {error}") from error
    for name, tensor in other.state_dict().items():
        _require(torch.equal(tensor, state[name]), f"'{name}' changes when weights are read back")


def _copied(network: Any) -> Any:
    """Copy a module in training mode, so that the caller's own stays as it is."""
    _require(isinstance(network, nn.Module), f"{type(network).__name__} has to be a torch module")
    return copy.deepcopy(network).train()


def _as_function(measure: Any, batch: Batch) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Give a bad input to a loss or metric, and the loss or metric as a function of the input.

    The input is SR; for what judges by a teacher, one vector per image that holds the logits and
    the features of each stage.
    """
    if not hasattr(measure, "stages"):
        return _noise(*batch.hr.shape, seed=1), lambda sr: measure(sr, batch)
    target = _answer(_perfect(measure, batch), measure.stages)
    bad = -_perfect(measure, batch) + _noise(len(batch), 1, seed=1)
    return bad, lambda flat: measure(_answer(flat, measure.stages), target, batch)


def _perfect(measure: Any, batch: Batch) -> Tensor:
    """Give the input of :func:`_as_function` that is the original's own."""
    if not hasattr(measure, "stages"):
        return batch.hr.clone()
    assert batch.labels is not None
    logits = 5 * nn.functional.one_hot(batch.labels, CLASSES) + batch.hr[:, 0, 0, :CLASSES]
    features = batch.hr[:, :1, :8, :8].flatten(1).repeat(1, len(measure.stages))
    return torch.cat([logits, features], 1)


def _answer(flat: Tensor, stages: Sequence[str]) -> Answer:
    logits, *features = torch.split(flat, [CLASSES, *[64] * len(stages)], 1)
    maps = {name: f.view(-1, 4, 4, 4) for name, f in zip(stages, features, strict=True)}
    return Answer(logits.float(), maps)


def _batch(channels: int, size: tuple[int, int]) -> Batch:
    hr = _noise(2, channels, *size)
    return Batch(names=["first", "second"], hr=hr, seeds=[0, 1], labels=torch.tensor([2, 7]))


def _one(batch: Batch, index: int) -> Batch:
    part = slice(index, index + 1)
    labels = None if batch.labels is None else batch.labels[part]
    return Batch(batch.names[part], batch.hr[part], batch.seeds[part], labels=labels)


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw values in [0, 1) without touching the global random numbers."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _smooth(channels: int, height: int, width: int) -> Tensor:
    """Draw a smooth random picture in [0, 1], which a lossy format keeps well."""
    coarse = _noise(1, channels, 4, 4)
    size = (height, width)
    return nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=True)[0]


def _require(condition: bool, sentence: str) -> None:
    """Assert, also where Python runs with -O."""
    if not condition:
        raise AssertionError(sentence)


def _require_attributes(component: object, protocol: type) -> None:
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    for name in dict.fromkeys([*protocol.__annotations__, *methods]):
        _require(
            hasattr(component, name),
            f"{type(component).__name__} lacks '{name}', which srkit.interfaces."
            f"{protocol.__name__} explains",
        )


def _require_shape(tensor: Tensor, shape: Sequence[int], what: str) -> None:
    _require(
        tuple(tensor.shape) == tuple(shape),
        f"{what} has to have the shape {tuple(shape)}, got {tuple(tensor.shape)}",
    )


def _require_finite(tensor: Tensor, what: str) -> None:
    bad = int((~tensor.isfinite()).sum())
    _require(bad == 0, f"{what}: {bad} of {tensor.numel()} values are not finite")


def _require_gradient(gradient: Tensor | None, what: str) -> None:
    if gradient is None:
        raise AssertionError(f"no gradient reaches {what}")
    _require_finite(gradient, f"the gradient of {what}")


def _require_close(found: Tensor, expected: Tensor, sentence: str) -> None:
    _require(torch.allclose(found, expected, rtol=1e-3, atol=1e-5), sentence)
