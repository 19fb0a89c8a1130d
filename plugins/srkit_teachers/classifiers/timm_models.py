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

#: Files of weights in a repository of the hub, the first preferred.
HUB_FILES = ("model.safetensors", "pytorch_model.bin")


class TimmClassifier(Classifier):
    """A network of timm as a teacher.

    Parameters
    ----------
    network
        As ``timm.create_model`` makes it.
    input_size
        Side in pixels that images are resized to; None leaves them as they are.
    normalise
        By what images are normalised.
    channels
        Channels of the network's images.
    choice
        Which of the network's classes to tell; None for all.
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

    Its stages are timm's feature levels, such as ``layer3`` or ``blocks.4``. A network that starts
    afresh has the recipe's channels; published ones take RGB, and grey images as well.

    Parameters
    ----------
    model
        Name, with or without the tag of its weights: ``resnet50`` or ``resnet50.a1_in1k``.
    weights
        A local file, or the folder of a run that trained this classifier; ``random`` for one that
        is to be trained; None downloads the published ones.
    classes
        Number of classes; by default those of the run or of the published weights. Or which of
        them to tell, as if there were no others: their indices, wnids or names of ImageNet's, or
        a file that lists them. They are numbered from 0 in the order that they have among all.
    new_head
        Begin the last layer afresh, for a number of `classes` of your own, to be trained.
    input_size
        Side in pixels that images are resized to; by default they keep their size.
    normalise
        ``published`` takes images in [0, 1]; ``image`` brings each image of any range to mean 0
        and standard deviation 1.

    Raises
    ------
    ValueError
        If the model is unknown, is no classifier, takes only another input size, or cannot judge
        images of the recipe's channels so.
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
                    f"published weights judge RGB or grey images, not {channels} channels; name a "
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
            raise ValueError(f"'{model}' of timm has no classes; it only makes features")
        if new_head:
            network.reset_classifier(classes)
            choice = None
        super().__init__(
            network, input_size=input_size, normalise=normalise, channels=channels, choice=choice
        )

    @staticmethod
    def downloads(*, model: str, weights: Path | str | None, **_: Any) -> list[str]:
        """List where the published weights come from, unless they are here or are not wanted."""
        check_model("timm", model, [*timm.list_models(), *timm.list_pretrained()])
        return absent_weights(model) if weights is None else []


def run_levels(
    network: Any, images: Tensor, levels: Sequence[int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network of timm once: what it answers, and its feature levels by their names."""
    if not levels:
        return network(images), {}
    depths = sorted(set(levels))
    last, maps = network.forward_intermediates(images, indices=depths)
    names = [network.feature_info[depth]["module"] for depth in depths]
    return network.forward_head(last), dict(zip(names, maps, strict=True))


def _takes_rgb(model: str, tensors: Mapping[str, Tensor]) -> bool:
    """Tell whether the first layer of a model's weights reads three channels."""
    cfg = timm.get_pretrained_cfg(model)
    first = cfg.first_conv if cfg else None
    names = (first,) if isinstance(first, str) else tuple(first or ())
    return any(
        tensors[f"{name}.weight"].shape[1] == 3 for name in names if f"{name}.weight" in tensors
    )


def _class_names(network: Any) -> Sequence[str] | None:
    """Names of ImageNet's classes, for a network that was made for one of its subsets."""
    subset = infer_imagenet_subset(network)
    if subset is None or network.num_classes != network.pretrained_cfg["num_classes"]:
        return None
    names: Sequence[str] = ImageNetInfo(subset).label_descriptions()
    return names


def _known_names(network: Any) -> int | list[tuple[str, ...]]:
    """Give what each class is called, or how many there are where nobody knows."""
    if _class_names(network) is None:
        count: int = network.num_classes
        return count
    return imagenet_names(infer_imagenet_subset(network))


def _published_cfg(model: str) -> Any:
    """Find what timm knows of a model's published weights."""
    cfg = timm.get_pretrained_cfg(model, allow_unregistered=False)
    if not cfg.has_weights:
        raise WeightsError(
            f"timm publishes no weights of '{model}'; name a local file as 'weights', or another "
            "model"
        )
    return cfg


def absent_weights(model: str) -> list[str]:
    """List where a model's published weights come from, unless they are here."""
    cfg = _published_cfg(model)
    return [] if _is_here(cfg) else [_address(cfg)]


def _is_here(cfg: Any) -> bool:
    """Tell whether the weights are in the hub's or torch's cache."""
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
            f"({type(error).__name__}); fetch model.safetensors of {source} elsewhere and name the "
            "file as 'weights'"
        ) from error
