"""Classifiers of timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from pydantic import PositiveInt
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import Tensor

from srkit.data import Choice, choose_classes
from srkit.errors import WeightsError
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

#: Weight files in a repository of the hub, in order of preference.
HUB_FILES = ("model.safetensors", "pytorch_model.bin")


class TimmClassifier(Classifier):
    """A network of timm as a teacher.

    Parameters
    ----------
    network
        The network, as returned by ``timm.create_model``.
    input_size
        Side in pixels to which images are resized; None keeps their size.
    normalise
        How images are normalised.
    channels
        Channels of the network's images.
    choice
        Subset of the network's classes to report; None for all.
    """

    def __init__(
        self,
        network: Any,
        *,
        input_size: int | None,
        choice: Choice | None = None,
        normalise: Normalise = "published",
        channels: int = 3,
    ) -> None:
        cfg = network.pretrained_cfg
        super().__init__(
            network,
            stages=[info["module"] for info in network.feature_info],
            classes=network.num_classes,
            class_names=_class_names(network),
            chosen=None if choice is None else choose_classes(choice, _known_names(network)),
            mean=cfg["mean"],
            std=cfg["std"],
            normalise=normalise,
            channels=channels,
            input_size=input_size,
            fixed_size=cfg["input_size"][-1] if cfg.get("fixed_input_size") else None,
        )

    def judge(self, images: Tensor, stages: Sequence[str]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Run the network on normalised ``(N, 3, H, W)`` images: scores and feature maps."""
        return run_levels(self.network, images, [self.stages.index(stage) for stage in stages])


class Timm(TimmClassifier):
    """Any classifier of timm (Wightman 2019), with the normalisation of its weights.

    Its stages are timm's feature levels, such as ``layer3`` or ``blocks.4``. A network with random
    weights has the recipe's channels; published networks accept RGB and grey images.

    Parameters
    ----------
    model
        Name, with or without the tag of its weights: ``resnet50`` or ``resnet50.a1_in1k``.
    weights
        A local file, or the folder of a run that trained this classifier; ``random`` for training
        from scratch; None downloads the published weights.
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
        If the model is unknown, is not a classifier, requires another input size, or does not
        accept images with the recipe's channels.
    WeightsError
        If the weights are missing, damaged, or made for another network.
    """

    def __init__(
        self,
        *,
        model: str,
        weights: Path | Literal["random"] | None = None,
        classes: Classes | None = None,
        new_head: bool = False,
        input_size: PositiveInt | None = None,
        normalise: Normalise = "published",
        channels: int = 3,
    ) -> None:
        check_model("timm", model, [*timm.list_models(), *timm.list_pretrained()])
        check_new_head(classes, new_head)
        count, choice = split_classes(None if new_head else classes)
        if weights is None:
            if channels not in (1, 3):
                raise ValueError(
                    f"published weights accept RGB or grey images, not {channels} channels; give a "
                    "file or a run as 'weights'"
                )
            channels = 3
            network: Any = published_network(model, count)
        elif weights == "random":
            network = timm.create_model(model, num_classes=count, in_chans=channels)
        else:
            tensors, trained_classes = read_weights(Path(weights), normalise)
            trained_count, trained_choice = split_classes(trained_classes)
            if count is None:
                count, choice = trained_count, choice or trained_choice
            if channels == 1 and _takes_rgb(model, tensors):
                channels = 3
            network = timm.create_model(model, num_classes=count, in_chans=channels)
            load_weights(network, tensors, str(weights))
        if network.num_classes < 1:
            raise ValueError(f"'{model}' of timm has no classes; it only computes features")
        if new_head:
            network.reset_classifier(classes)
            choice = None
        super().__init__(
            network, input_size=input_size, normalise=normalise, channels=channels, choice=choice
        )

    @staticmethod
    def downloads(*, model: str, weights: Path | str | None, **_: Any) -> list[str]:
        """List the address of the published weights, unless they are cached or not needed."""
        check_model("timm", model, [*timm.list_models(), *timm.list_pretrained()])
        return absent_weights(model) if weights is None else []


def run_levels(
    network: Any, images: Tensor, levels: Sequence[int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network of timm once: its output, and its feature levels by name."""
    if not levels:
        return network(images), {}
    depths = sorted(set(levels))
    last, maps = network.forward_intermediates(images, indices=depths)
    names = [network.feature_info[depth]["module"] for depth in depths]
    return network.forward_head(last), dict(zip(names, maps, strict=True))


def _takes_rgb(model: str, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether the first layer of a model's weights has three input channels."""
    cfg = timm.get_pretrained_cfg(model)
    first = cfg.first_conv if cfg else None
    names = (first,) if isinstance(first, str) else tuple(first or ())
    return any(
        tensors[f"{name}.weight"].shape[1] == 3 for name in names if f"{name}.weight" in tensors
    )


def _class_names(network: Any) -> Sequence[str] | None:
    """Return the names of ImageNet's classes, for a network made for one of its subsets."""
    subset = infer_imagenet_subset(network)
    if subset is None or network.num_classes != network.pretrained_cfg["num_classes"]:
        return None
    names: Sequence[str] = ImageNetInfo(subset).label_descriptions()
    return names


def _known_names(network: Any) -> int | list[tuple[str, ...]]:
    """Return the names of each class, or the number of classes if the names are unknown."""
    if _class_names(network) is None:
        count: int = network.num_classes
        return count
    return imagenet_names(infer_imagenet_subset(network))


def _published_cfg(model: str) -> Any:
    """Return timm's configuration of a model's published weights."""
    cfg = timm.get_pretrained_cfg(model, allow_unregistered=False)
    if not cfg.has_weights:
        raise WeightsError(
            f"timm publishes no weights of '{model}'; give a local file as 'weights', or another "
            "model"
        )
    return cfg


def absent_weights(model: str) -> list[str]:
    """List the address of a model's published weights, unless they are cached."""
    cfg = _published_cfg(model)
    return [] if _is_here(cfg) else [_address(cfg)]


def _is_here(cfg: Any) -> bool:
    """Return whether the weights are in the cache of the hub or of torch."""
    if not cfg.hf_hub_id:
        checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
        return (checkpoints / str(cfg.url).rpartition("/")[2]).is_file()
    repository, _, revision = cfg.hf_hub_id.partition("@")
    names = [cfg.hf_hub_filename] if cfg.hf_hub_filename else HUB_FILES
    found = (try_to_load_from_cache(repository, name, revision=revision or None) for name in names)
    return any(isinstance(path, str) for path in found)


def _address(cfg: Any) -> str:
    return f"https://huggingface.co/{cfg.hf_hub_id}" if cfg.hf_hub_id else str(cfg.url)


def published_network(model: str, classes: int | None) -> Any:
    """Build a network with the weights of timm's hub."""
    cfg = _published_cfg(model)
    check_classes(classes, cfg.num_classes)
    try:
        return timm.create_model(model, pretrained=True)
    except Exception as error:  # the hub's client raises many kinds
        source = f"hub repository {cfg.hf_hub_id}" if cfg.hf_hub_id else cfg.url
        raise WeightsError(
            f"the weights of timm's '{model}' could not be downloaded "
            f"({type(error).__name__}); download model.safetensors of {source} on another machine "
            "and give the file as 'weights'"
        ) from error
