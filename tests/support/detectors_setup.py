"""Torchvision detectors with random weights whose outputs differ between images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.ops import FrozenBatchNorm2d

SMALL = "fasterrcnn_mobilenet_v3_large_fpn"
CLASSES = 4


def make_plain(model: str, images: Tensor) -> Any:
    """Build torchvision's network, whose resizing does not change images of 80 pixels.

    Its normalisation is that of the images: else random weights, whose features fade from layer to
    layer, would say the same of all.
    """
    torch.manual_seed(3)
    network = get_model(
        model, weights=None, weights_backbone=None, num_classes=CLASSES, min_size=80
    ).eval()

    def measure(layer: Any, inputs: tuple[Tensor]) -> None:
        layer.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        layer.running_var.copy_(inputs[0].var((0, 2, 3)))

    layers = [
        one for one in network.modules() if isinstance(one, FrozenBatchNorm2d | nn.BatchNorm2d)
    ]
    hooks = [layer.register_forward_pre_hook(measure) for layer in layers]
    with torch.no_grad():
        network(list(images))
    for hook in hooks:
        hook.remove()
    return network
