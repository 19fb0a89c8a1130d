"""U-Net, a segmentation network for training from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit_teachers.classifiers.classifier import load_weights, read_weights, split_classes
from srkit_teachers.segmenters.segmenter import Segmenter


class UNet(Segmenter):
    """U-Net (Ronneberger et al. 2015) with batch normalisation, for images of any range and size.

    It normalises each image to mean 0 and standard deviation 1. Its stages are the feature maps
    before each downsampling, ``down.0`` and so on, and the one at the bottom.

    Parameters
    ----------
    weights
        A local file, or the folder of a run that trained this network; ``random`` for training
        from scratch.
    classes
        Number of classes; by default that of the run, or 2.
    features
        Channels at full resolution; each downsampling doubles them.
    depth
        Number of downsamplings by 2.

    Raises
    ------
    WeightsError
        If the weights are missing, damaged, or made for another network.
    """

    def __init__(
        self,
        *,
        weights: Path | Literal["random"],
        classes: Annotated[int, Field(ge=2)] | None = None,
        features: PositiveInt = 16,
        depth: Annotated[int, Field(ge=1, le=6)] = 3,
        channels: int = 3,
    ) -> None:
        tensors = None
        if weights != "random":
            tensors, trained = read_weights(Path(weights), "image")
            classes = classes or split_classes(trained)[0]
        classes = classes or 2
        network = _Network(channels, classes, features, depth)
        if tensors is not None:
            load_weights(network, tensors, str(weights))
        super().__init__(
            network,
            stages=[f"down.{level}" for level in range(depth + 1)],
            classes=classes,
            class_names=None,
            mean=[0.0],
            std=[1.0],
            normalise="image",
            channels=channels,
            input_size=None,
        )

    def judge(self, images: Tensor, stages: Sequence[str]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Run the network on normalised ``(N, C, H, W)`` images: scores and feature maps."""
        logits, maps = self.network(images)
        return logits, {stage: maps[self.stages.index(stage)] for stage in stages}


class _Network(nn.Module):
    def __init__(self, channels: int, classes: int, features: int, depth: int) -> None:
        super().__init__()
        widths = [features * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(map(_block, [channels, *widths[:-1]], widths))
        # From the bottom up: each level sees the level below and its own skip connection.
        self.up = nn.ModuleList(
            _block(below + beside, beside)
            for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(features, classes, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for level, block in enumerate(self.down):
            images = block(F.max_pool2d(images, 2, ceil_mode=True) if level else images)
            maps.append(images)
        for block, beside in zip(self.up, maps[-2::-1], strict=True):
            images = F.interpolate(images, size=beside.shape[-2:], mode="nearest")
            images = block(torch.cat([images, beside], 1))
        return self.head(images), maps


def _block(channels: int, features: int) -> nn.Sequential:
    """Make two convolutions, each with batch normalisation and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, features, 3, padding=1, bias=False),
        nn.BatchNorm2d(features),
        nn.ReLU(),
        nn.Conv2d(features, features, 3, padding=1, bias=False),
        nn.BatchNorm2d(features),
        nn.ReLU(),
    )
