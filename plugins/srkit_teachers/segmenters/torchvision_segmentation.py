"""Segmentation networks of torchvision."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import PositiveInt
from torch import Tensor, nn
from torchvision.models import get_model, list_models, segmentation

from srkit_teachers.classifiers.classifier import Normalise, check_model
from srkit_teachers.classifiers.torchvision_models import (
    absent_weights,
    keep_inputs,
    open_network,
    run_keeping,
)
from srkit_teachers.segmenters.segmenter import Segmenter

#: Modules at which the backbones change resolution or block.
_STAGE = re.compile(r"backbone\.(layer\d|\d+)")


class TorchvisionSegmentation(Segmenter):
    """Any segmentation network of torchvision: DeepLabV3, FCN, LR-ASPP.

    Chen et al. 2017 ("Rethinking atrous convolution"), Long et al. 2015, Howard et al. 2019. Its
    stages are modules of the backbone, such as ``backbone.layer3``. It accepts RGB and grey
    images.

    Parameters
    ----------
    model
        Name, such as ``deeplabv3_resnet50``.
    weights
        Name of published weights, such as ``COCO_WITH_VOC_LABELS_V1``; a local file; the folder of
        a run that trained this network; or ``random`` for training from scratch. ``DEFAULT`` is
        torchvision's best.
    classes
        Number of classes; by default that of the run or of the published weights.
    input_size
        Side in pixels to which images are resized; by default they keep their size.
    normalise
        ``published`` expects images in [0, 1]; ``image`` normalises each image of any range to
        mean 0 and standard deviation 1.

    Raises
    ------
    ValueError
        If the model or the name of the weights is unknown.
    WeightsError
        If the weights are missing, damaged, or made for another network.
    """

    def __init__(
        self,
        *,
        model: str,
        weights: str | Path = "DEFAULT",
        classes: PositiveInt | None = None,
        input_size: PositiveInt | None = None,
        normalise: Normalise = "published",
    ) -> None:
        _check(model)
        opened = open_network(model, weights, classes, normalise, partial(_untrained, model))
        network, preset = opened.network, opened.entry.transforms()
        super().__init__(
            network,
            stages=[name for name, _ in network.named_modules() if _STAGE.fullmatch(name)],
            classes=opened.classes,
            class_names=opened.names,
            mean=preset.mean,
            std=preset.std,
            normalise=normalise,
            input_size=input_size,
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
        return answer["out"], features


def _check(model: str) -> None:
    check_model("torchvision", model, list_models(segmentation), "segmentation network")


def _untrained(model: str, classes: int, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build a network, with the auxiliary training head if the weights have one."""
    auxiliary = any(key.startswith("aux_classifier.") for key in tensors)
    network: nn.Module = get_model(
        model, weights=None, weights_backbone=None, num_classes=classes, aux_loss=auxiliary
    )
    return network
