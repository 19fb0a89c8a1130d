"""Classifiers of torchvision."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision
from pydantic import PositiveInt
from torch import Tensor, nn
from torchvision.models import SwinTransformer, WeightsEnum, get_model, get_model_weights

from srkit.data import Choice, choose_classes
from srkit.errors import WeightsError, nearest
from srkit_teachers.classifiers.classifier import (
    Classes,
    Classifier,
    Normalise,
    check_classes,
    check_model,
    check_new_head,
    load_weights,
    read_weights,
    split_classes,
)
from srkit_teachers.imagenet import imagenet_names

#: Modules at which torchvision's convolutional networks change resolution or block.
_STAGE = re.compile(
    r"layer\d|stage\d|conv5|blocks\.\d+|trunk_output\.block\d|features\.(\d+|denseblock\d)"
    r"|layers\.\d+|inception\w+|Mixed_\w+"
)

#: Options that make two networks equal with and without published weights.
_INCEPTION = {"transform_input": True, "init_weights": True}
_BUILDING: dict[str, dict[str, bool]] = {"googlenet": _INCEPTION, "inception_v3": _INCEPTION}


class Torchvision(Classifier):
    """Any classifier of torchvision, with the normalisation of its weights.

    Its stages are modules of convolutional networks, such as ``layer3`` or ``features.5``;
    transformers have none here: use those of timm. The networks accept RGB and grey images; for
    other channels use timm.

    Parameters
    ----------
    model
        Name, such as ``resnet50``.
    weights
        Name of published weights, such as ``IMAGENET1K_V1``; a local file; the folder of a run
        that trained this classifier; or ``random`` for training from scratch. ``DEFAULT`` is
        torchvision's best.
    classes
        Number of classes; by default that of the run or of the published weights. Or a subset, as
        if there were no others: indices, WordNet IDs or names of ImageNet, or a file that lists
        them. They are renumbered from 0 in their original order.
    new_head
        Reinitialise the last layer for training with your own number of `classes`.
    input_size
        Side in pixels to which images are resized; by default they keep their size.
    normalise
        ``published`` expects images in [0, 1]; ``image`` normalises each image of any range to
        mean 0 and standard deviation 1.

    Raises
    ------
    ValueError
        If the model or the name of the weights is unknown, or the model requires another input
        size.
    WeightsError
        If the weights are missing, damaged, or made for another network.
    """

    def __init__(
        self,
        *,
        model: str,
        weights: str | Path = "DEFAULT",
        classes: Classes | None = None,
        new_head: bool = False,
        input_size: PositiveInt | None = None,
        normalise: Normalise = "published",
    ) -> None:
        _check(model)
        check_new_head(classes, new_head)
        count, choice = split_classes(None if new_head else classes)
        opened = open_network(model, weights, count, normalise, partial(_untrained, model))
        network, total, preset = opened.network, opened.classes, opened.entry.transforms()
        if count is None:
            choice = choice or opened.choice
        if new_head:
            assert isinstance(classes, int)
            _renew_head(network, total, classes)
            total, choice = classes, None
        names = _names(opened.entry, total)
        super().__init__(
            network,
            stages=_stages(network),
            classes=total,
            class_names=names,
            chosen=_choose(choice, names, total),
            mean=preset.mean,
            std=preset.std,
            normalise=normalise,
            input_size=input_size,
            fixed_size=getattr(network, "image_size", None),
        )
        keep_inputs(network)

    @staticmethod
    def downloads(*, model: str, weights: str | Path, **_: Any) -> list[str]:
        """List the address of the published weights, unless they are cached."""
        _check(model)
        return absent_weights(model, weights)

    def judge(self, images: Tensor, stages: Sequence[str]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Run the network on normalised ``(N, 3, H, W)`` images: scores and feature maps."""
        answer, features = run_keeping(self.network, images, stages)
        # In training mode, networks with auxiliary classifiers also return their scores.
        return getattr(answer, "logits", answer), features


def _choose(choice: Choice | None, names: Sequence[str] | None, count: int) -> Sequence[int] | None:
    """Return the indices of chosen classes, by the names of ImageNet and of torchvision."""
    if choice is None:
        return None
    if names is None:
        return choose_classes(choice, count)
    called = [(*known, name) for known, name in zip(imagenet_names(), names, strict=True)]
    return choose_classes(choice, called)


def _renew_head(network: nn.Module, known: int, classes: int) -> None:
    """Replace the last layer by a new one for other classes."""
    for name, module in reversed(list(network.named_modules())):
        parent = network.get_submodule(name.rpartition(".")[0])
        if isinstance(module, nn.Linear) and module.out_features == known:
            head: nn.Module = nn.Linear(module.in_features, classes)
        elif isinstance(module, nn.Conv2d) and module.out_channels == known:
            head = nn.Conv2d(module.in_channels, classes, module.kernel_size)  # type: ignore[arg-type]
        else:
            continue
        setattr(parent, name.rpartition(".")[2], head)
        return


def _check(model: str) -> None:
    check_model("torchvision", model, torchvision.models.list_models(torchvision.models))


def _untrained(model: str, classes: int, tensors: Mapping[str, Tensor]) -> nn.Module:
    network: nn.Module = get_model(model, num_classes=classes, **_BUILDING.get(model, {}))
    return network


def _names(entry: WeightsEnum, classes: int) -> Sequence[str] | None:
    """Return the names of the classes of published weights; None for another number of classes."""
    names: Sequence[str] = entry.meta["categories"]
    return names if classes == len(names) else None


def weights_of(model: str) -> Mapping[str, WeightsEnum]:
    """Return torchvision's published weights of a model, by name."""
    members: Mapping[str, WeightsEnum] = get_model_weights(model).__members__
    return members


@dataclass(frozen=True, slots=True)
class Opened:
    """A network with its weights, the number of its classes, and their names if known.

    `choice` is the subset of the classes that a trained network reports.
    """

    network: Any
    classes: int
    names: Sequence[str] | None
    entry: WeightsEnum
    choice: Choice | None = None


def open_network(
    model: str,
    weights: str | Path,
    classes: int | None,
    normalise: Normalise,
    build: Callable[[int, Mapping[str, Tensor]], nn.Module],
) -> Opened:
    """Open a network with all classes of its weights.

    Parameters
    ----------
    model
        A known name.
    weights
        Name of published weights, a file, the folder of a run, or ``random``.
    classes
        Their number; by default that of the weights.
    normalise
        Required normalisation of the weights of a run.
    build
        Builds the network for a number of classes and its tensors.

    Raises
    ------
    ValueError
        If the name of the weights is unknown, or published weights have other classes.
    WeightsError
        If the weights are missing, damaged, or made for another network.
    """
    published = weights_of(model)
    entry = published.get(str(weights), published["DEFAULT"])
    known, choice = len(entry.meta["categories"]), None
    if str(weights) in published:
        check_classes(classes, known)
        network = published_network(model, entry)
    elif weights == "random":
        network = build(classes or known, {})
    else:
        tensors, trained = read_file(weights, model, published, normalise)
        trained_count, choice = split_classes(trained)
        classes = classes or trained_count
        network = build(classes or known, tensors)
        load_weights(network, tensors, str(weights))
    count = classes or known
    return Opened(network, count, _names(entry, count), entry, choice)


def run_keeping(
    network: nn.Module, images: Tensor, stages: Sequence[str]
) -> tuple[Any, dict[str, Tensor]]:
    """Run a network once: its output, and the outputs of the named modules."""
    features: dict[str, Tensor] = {}
    handles = [
        network.get_submodule(stage).register_forward_hook(_keeper(features, stage))
        for stage in stages
    ]
    try:
        return network(images), features
    finally:
        for handle in handles:
            handle.remove()


def _keeper(features: dict[str, Tensor], stage: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        features[stage] = output

    return keep


def _stages(network: nn.Module) -> list[str]:
    if isinstance(network, SwinTransformer):  # its maps are channels-last
        return []
    return [name for name, _ in network.named_modules() if _STAGE.fullmatch(name)]


def keep_inputs(network: Any) -> None:
    """Keep activations from overwriting their input."""
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False


def published_network(model: str, entry: WeightsEnum) -> Any:
    """Build a network with weights from torchvision's site or the local cache."""
    try:
        return get_model(model, weights=entry, progress=False)
    except Exception as error:  # urllib, http.client and the checksum raise different kinds
        raise missing(f"{model}'s {entry.name}", entry, error) from error


def place(weights: WeightsEnum) -> Path:
    """Return the path of weights downloaded by torchvision."""
    name: str = weights.url.rpartition("/")[2]
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def absent(weights: WeightsEnum) -> list[str]:
    """List the address of published weights, unless they are cached."""
    return [] if place(weights).is_file() else [weights.url]


def absent_weights(model: str, weights: str | Path) -> list[str]:
    """List the address of weights of a model if they are published and not cached."""
    entry = weights_of(model).get(str(weights))
    return [] if entry is None else absent(entry)


def missing(what: str, entry: WeightsEnum, error: Exception) -> WeightsError:
    """Return an error that explains how to get weights that could not be downloaded."""
    return WeightsError(
        f"torchvision's weights of {what} could not be downloaded ({error}); download {entry.url} "
        "on another machine and give the file as 'weights'"
    )


def read_file(
    weights: str | Path, model: str, published: Mapping[str, Any], normalise: Normalise
) -> tuple[dict[str, Tensor], Classes | None]:
    """Read the weights of a file or run for a model; an error lists known names."""
    path = Path(weights)
    if not path.suffix and not path.exists():
        raise ValueError(
            f"torchvision has no weights '{weights}' of {model}, and no such file or run exists; "
            f"{nearest(str(weights), [*published, 'random'])}"
        )
    return read_weights(path, normalise)
