"""Embeddings of timm: DINOv2, the image encoder of CLIP, and the features of any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import timm
from pydantic import PositiveInt
from timm.data import infer_imagenet_subset
from torch import Tensor

from srkit.interfaces import Task
from srkit_teachers.classifiers.classifier import (
    Classifier,
    check_model,
    load_weights,
    read_weights,
)
from srkit_teachers.classifiers.timm_models import absent_weights, published_network, run_levels


class TimmEmbedding(Classifier):
    """Any network of timm that embeds images, such as DINOv2 or CLIP.

    Oquab et al. 2023, Radford et al. 2021. The embedding is the feature vector before the
    classification layer; for CLIP, the projection into the space shared with texts. Its stages are
    timm's feature levels, such as ``blocks.11``. It accepts RGB and grey images in [0, 1].

    Parameters
    ----------
    model
        Name, with or without the tag of its weights, such as ``vit_small_patch14_dinov2.lvd142m``
        or ``vit_base_patch16_clip_224.openai``.
    weights
        A local file or ``random``; None downloads the published weights.
    input_size
        Side in pixels to which images are resized; by default that of the network's training. For a
        vision transformer, a multiple of the patch size; its positions are interpolated.

    Raises
    ------
    ValueError
        If the model is unknown, or does not accept images of this size.
    WeightsError
        If the weights are missing, damaged, or made for another network.
    """

    task: Task = "embedding"

    def __init__(
        self,
        *,
        model: str,
        weights: Path | Literal["random"] | None = None,
        input_size: PositiveInt | None = None,
    ) -> None:
        check_model("timm", model, [*timm.list_models(), *timm.list_pretrained()], "network")
        network: Any
        if weights is None:
            network = published_network(model, None)
        else:
            network = timm.create_model(model)
            if weights != "random":
                tensors, _ = read_weights(Path(weights), "published")
                load_weights(network, tensors, str(weights))
        cfg = network.pretrained_cfg
        if not embeds_by_its_head(model, network):
            network.reset_classifier(0)
        size = input_size or cfg["input_size"][-1]
        if cfg.get("fixed_input_size") and size != cfg["input_size"][-1]:
            _resize_input(network, model, size)
        super().__init__(
            network,
            stages=[info["module"] for info in network.feature_info],
            classes=0,
            class_names=None,
            mean=cfg["mean"],
            std=cfg["std"],
            normalise="published",
            input_size=size,
        )

    @staticmethod
    def downloads(*, model: str, weights: Path | str | None, **_: Any) -> list[str]:
        """List the address of the published weights, unless they are cached or not needed."""
        check_model("timm", model, [*timm.list_models(), *timm.list_pretrained()], "network")
        return absent_weights(model) if weights is None else []

    def judge(self, images: Tensor, stages: Sequence[str]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Run the network on normalised ``(N, 3, H, W)`` images: embeddings and feature maps."""
        return run_levels(self.network, images, [self.stages.index(stage) for stage in stages])


def embeds_by_its_head(model: str, network: Any) -> bool:
    """Return whether the last layer is the projection of CLIP rather than a classifier."""
    return "clip" in model and infer_imagenet_subset(network) is None


def _resize_input(network: Any, model: str, size: int) -> None:
    """Interpolate the positions of a vision transformer for images of another size."""
    if not hasattr(network, "set_input_size"):
        raise ValueError(
            f"input_size is {size}; '{model}' accepts only its own size: remove input_size"
        )
    patch = network.patch_embed.patch_size[0]
    if size % patch:
        raise ValueError(f"input_size is {size}; '{model}' accepts multiples of {patch}")
    network.set_input_size(img_size=(size, size))
