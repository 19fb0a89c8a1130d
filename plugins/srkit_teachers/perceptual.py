"""The perceptual loss on VGG19's features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VGG19_Weights, vgg19

from srkit.errors import nearest
from srkit.interfaces import Batch
from srkit.weights import read_tensors
from srkit_teachers.classifiers.classifier import load_weights
from srkit_teachers.classifiers.torchvision_models import absent, missing
from srkit_teachers.losses import weighted_distance


class VGGPerceptual(nn.Module):
    """Distance of VGG19's features of SR and HR (Johnson et al. 2016; ESRGAN, Wang et al. 2018).

    The images must be RGB (or grey) in [0, 1]; the loss normalises them itself.

    Parameters
    ----------
    layers
        Weight of each convolution, as ``convB_C``: the C-th of block B; by default 1 for conv5_4.
    weights
        A local file with torchvision's VGG19; None downloads torchvision's IMAGENET1K_V1.
    distance
        ``l1`` is the mean absolute, ``l2`` the mean squared difference.
    before_activation
        Whether to compare the outputs of the convolutions (ESRGAN) or of their ReLUs (SRGAN).

    Raises
    ------
    ValueError
        If a layer is unknown or no layer is given.
    WeightsError
        If the weights are missing, damaged, or not VGG19's.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        layers: Mapping[str, PositiveFloat] | None = None,
        weights: Path | None = None,
        distance: Literal["l1", "l2"] = "l1",
        before_activation: bool = True,
    ) -> None:
        super().__init__()
        self.layers = {"conv5_4": 1.0} if layers is None else dict(layers)
        self._check(self.layers)
        depth = max(LAYERS[layer] for layer in self.layers) + 1
        self.features = _features(depth, weights).requires_grad_(False)
        self.distance = F.l1_loss if distance == "l1" else F.mse_loss
        self.before_activation = before_activation
        preset = PUBLISHED.transforms()
        self.register_buffer("mean", torch.tensor(preset.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preset.std).view(1, 3, 1, 1), persistent=False)

    @staticmethod
    def downloads(*, weights: Path | None, **_: Any) -> list[str]:
        """List the address of the published weights, unless they are cached or a file is given."""
        return absent(PUBLISHED) if weights is None else []

    @staticmethod
    def _check(layers: Mapping[str, float]) -> None:
        if not layers:
            raise ValueError("layers: empty; name at least one, such as conv5_4: 1.0")
        for layer in layers:
            if layer not in LAYERS:
                raise ValueError(f"VGG19 has no layer '{layer}'; {nearest(layer, LAYERS)}")

    def forward(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, 3, H, W)`` images with ``batch.hr``: a scalar, summed over the layers."""
        with torch.no_grad():
            wanted = self._maps(batch.hr)
        return weighted_distance(self.distance, self.layers, self._maps(sr), wanted)

    def _maps(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the feature maps of the chosen layers in one pass."""
        names = {LAYERS[layer]: layer for layer in self.layers}
        x = (images.float() - self.mean) / self.std
        maps = {}
        for index, module in enumerate(self.features):
            # Out of place: an activation must not overwrite its input.
            x = F.relu(x) if isinstance(module, nn.ReLU) else module(x)
            if index in names:
                maps[names[index]] = x if self.before_activation else F.relu(x)
        return maps


def _layers(features: nn.Sequential) -> dict[str, int]:
    """Index VGG's convolutions by block and position; each block ends with a pooling."""
    block, place, found = 1, 0, {}
    for index, module in enumerate(features):
        if isinstance(module, nn.MaxPool2d):
            block, place = block + 1, 0
        elif isinstance(module, nn.Conv2d):
            place += 1
            found[f"conv{block}_{place}"] = index
    return found


def _empty() -> nn.Sequential:
    """Build VGG19's features without values."""
    with torch.device("meta"):
        features: nn.Sequential = vgg19(init_weights=False).features
    return features


def _features(depth: int, path: Path | None) -> nn.Sequential:
    """Build the first modules of VGG19's features with their weights."""
    if path is None:
        tensors, source = _published(), PUBLISHED.url
    else:
        tensors, source = read_tensors(path), str(path)
    features = _empty()[:depth].to_empty(device="cpu")
    prefix = "features."
    wanted = {
        key.removeprefix(prefix): value
        for key, value in tensors.items()
        if key.startswith(prefix) and int(key.split(".")[1]) < depth
    }
    load_weights(features, wanted, source)
    return features


def _published() -> Mapping[str, Tensor]:
    try:
        tensors: Mapping[str, Tensor] = PUBLISHED.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # urllib, http.client and the checksum raise different kinds
        raise missing("vgg19", PUBLISHED, error) from error
    return tensors


#: Index of each convolution among the modules of VGG19's features.
LAYERS = _layers(_empty())
PUBLISHED = VGG19_Weights.IMAGENET1K_V1
