"""Generators, discriminators and teachers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from srkit.interfaces.samples import Batch, Boxes


@dataclass(frozen=True, slots=True)
class Answer:
    """The output of a teacher on a batch of images.

    Parameters
    ----------
    logits
        Float32. Classification: class scores before the softmax, ``(N, classes)``. Segmentation:
        those of every pixel, ``(N, classes, H, W)``. Detection: those of every anchor,
        ``(N, anchors, classes)``. Embedding: the embedding, ``(N, D)``.
    features
        The requested stages: feature maps, ``(N, C, H, W)`` each, and outputs of a detector's
        head, ``(N, anchors, K)``.
    find
        For detectors: returns the boxes in each image, in pixels, the most confident first. It is
        a function since training does not need the boxes.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
    find: Callable[[], Sequence[Boxes]] | None = None


@runtime_checkable
class Generator(Protocol):
    """A super-resolution network: a :class:`torch.nn.Module` from LR to SR.

    It can have these members, too:

    - ``channels_last``: whether it runs faster in the channels-last memory format;
    - ``published``, of the class: weights that can be downloaded by name, see :class:`Published`;
    - ``grid``: if its windows or cells begin at every n-th pixel of LR only, n. Tiles begin there
      too, since they would be restored differently elsewhere; 1 by default;
    - ``adapt(tensors)``: returns the tensors of a third-party checkpoint under its own keys;
    - ``reads_foreign_weights``, of the class: whether it opens third-party weight files. Its
      factory then takes the file as `weights`, and None as `scale` and `channels`.

    Attributes
    ----------
    scale
        Side of the SR image over the side of the LR image.
    channels
        Number of channels of the images.
    """

    scale: int
    channels: int

    def __call__(self, lr: Tensor, /) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        ...

    def stages(self) -> Mapping[str, nn.Module]:
        """Return the layers and blocks from input to output; each parameter is in one.

        Recipes freeze them by name, and may recompute each block in the backward pass.
        """
        ...


@runtime_checkable
class MultiScale(Protocol):
    """A generator with several scales; its factory has the parameter `scales`.

    Attributes
    ----------
    scales
        Its scales, in the order of the recipe.
    scale
        The current scale: the first, until another is set.
    """

    scales: Sequence[int]
    scale: int


#: What a default model does to pictures: `faithful` networks keep what LR shows, `enhanced` ones
#: remove noise and artefacts, and invent detail.
Style = Literal["faithful", "enhanced"]


@dataclass(frozen=True, slots=True)
class Published:
    """Published weights of a network.

    Parameters
    ----------
    url
        Address of the file, or ``package:NAME/PATH`` for a file in an installed package.
    sha256
        Checksum of the file, hexadecimal.
    licence
        SPDX identifier.
    settings
        Options of the generator, and ``scale`` and ``channels``, that fit the weights.
    sections
        Sections of the recipe that belong to the weights: ``stretch`` and ``constraint``.
    default_for
        Images for which they are the default model: ``pictures`` of 8 or 16 bits or three colours,
        or ``frames`` with other values. Those of a plugin are used only where srkit has none.
    style
        The style in which they are the default model.
    """

    url: str
    sha256: str
    licence: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)
    default_for: Literal["pictures", "frames"] | None = None
    style: Style = "faithful"


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network, for losses and metrics that compare SR with its output.

    A factory opens it with its parameter ``open_network``, which the core supplies.

    Parameters
    ----------
    name
        Name of the run or checkpoint, for tables.
    restore
        Restores the LR of a batch, in flux: returns SR in flux, ``(N, C, H, W)`` on the grid of
        HR, without gradients.
    """

    name: str
    restore: Callable[[Batch], Tensor]


#: Opens a run folder or a checkpoint as a network of the recipe's scale.
OpenNetwork = Callable[[Path], TrainedNetwork]


@runtime_checkable
class Discriminator(Protocol):
    """A network that distinguishes real from restored images."""

    def __call__(self, images: Tensor, /) -> Tensor | Sequence[Tensor]:
        """Score ``(N, C, H, W)`` images: return logits of any shape that starts with N.

        A discriminator of several scales returns a sequence of them.
        """
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Iterate over the parameters to optimise."""
        ...


@runtime_checkable
class FeatureDiscriminator(Protocol):
    """A discriminator whose feature maps can be compared, as by `feature_matching`."""

    def features(self, images: Tensor, /) -> Sequence[Tensor]:
        """Return the feature maps of ``(N, C, H, W)`` images, from shallow to deep."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """A frozen network to learn from: a :class:`torch.nn.Module` that normalises its input.

    It classifies images, unless its attribute ``task`` names another :data:`Task`.

    Attributes
    ----------
    stages
        Names of its feature maps, from shallow to deep; for a detector, then its head's outputs.
    classes
        Number of classes; 0 for embeddings.
    class_names
        Names of the classes by index, or None if they have no names.
    """

    stages: Sequence[str]
    classes: int
    class_names: Sequence[str] | None

    def __call__(self, images: Tensor, stages: Sequence[str] = (), /) -> Answer:
        """Evaluate ``(N, 3, H, W)`` images in [0, 1], with the features of the named stages."""
        ...
