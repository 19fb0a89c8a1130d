"""A small generator, discriminator and teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.interfaces import Answer, Published


class TwoLayers(nn.Module):
    """Two convolutions and a pixel shuffle (Shi et al. 2016).

    Parameters
    ----------
    features
        Channels between the two.
    """

    channels_last = False
    published: ClassVar[Mapping[str, Published]] = {}

    def __init__(self, *, scale: int, channels: int, features: PositiveInt = 8) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.tail = nn.Conv2d(features, channels * scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        return F.pixel_shuffle(self.tail(F.relu(self.head(lr))), self.scale).to(lr.dtype)

    def stages(self) -> dict[str, nn.Module]:
        """Return the two layers by name."""
        return {"head": self.head, "tail": self.tail}

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors unchanged."""
        return dict(tensors)


class Critic(nn.Module):
    """A patch discriminator of two convolutions.

    Parameters
    ----------
    features
        Channels between the two.
    """

    def __init__(self, *, channels: int, features: PositiveInt = 8) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, features, 4, stride=2)
        self.tail = nn.Conv2d(features, 1, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return a map of logits for each of ``(N, C, H, W)`` images."""
        logits: Tensor = self.tail(F.leaky_relu(self.head(images), 0.2))
        return logits


class Classifier(nn.Module):
    """An untrained classifier with one convolution.

    Parameters
    ----------
    classes
        Number of classes.
    """

    stages = ("convolution",)
    class_names = None

    def __init__(self, *, classes: PositiveInt = 2) -> None:
        super().__init__()
        self.classes = classes
        self.convolution = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, classes)

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        """Classify ``(N, 3, H, W)`` images in [0, 1]."""
        unknown = set(stages) - set(self.stages)
        if unknown:
            raise ValueError(f"unknown stages {sorted(unknown)}; known: {', '.join(self.stages)}")
        features = self.convolution(2 * images - 1)
        logits = self.head(F.relu(features).mean((2, 3)))
        return Answer(logits.float(), dict.fromkeys(stages, features))
