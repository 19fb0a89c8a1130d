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
    """What a teacher says of a batch of images.

    Parameters
    ----------
    logits
        What it says, float32. Classification: class scores before the softmax, ``(N, classes)``.
        Segmentation: those of every pixel of the images, ``(N, classes, H, W)``. Detection: those
        of every anchor, ``(N, anchors, classes)``. Embedding: the embedding, ``(N, D)``.
    features
        The stages that were asked for: feature maps, ``(N, C, H, W)`` each, and outputs of a
        detector's head, ``(N, anchors, K)``.
    find
        Of a detector: gives the boxes that it finds in each image, the surest first, in pixels of
        the images. It is called where they are wanted, since training does without.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
    find: Callable[[], Sequence[Boxes]] | None = None


@runtime_checkable
class Generator(Protocol):
    """A super-resolution network: an :class:`torch.nn.Module` from LR to SR.

    Attributes
    ----------
    scale
        Side of the SR image over the side of the LR image.
    channels
        Channels of the images.
    channels_last
        Whether the network runs faster in the channels-last memory format.
    published
        Weights that can be fetched by name, see :class:`Published`.
    """

    scale: int
    channels: int
    channels_last: bool
    published: Mapping[str, Published]

    def __call__(self, lr: Tensor, /) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        ...

    def stages(self) -> Mapping[str, nn.Module]:
        """Name the network's parts from input to output; every parameter is in one of them."""
        ...

    def adapt(self, tensors: Mapping[str, Tensor], /) -> dict[str, Tensor]:
        """Rename the tensors of a published checkpoint to this network's own keys."""
        ...


@runtime_checkable
class MultiScale(Protocol):
    """What a generator of several scales has besides; its factory takes `scales`.

    Attributes
    ----------
    scales
        Those that it has, in the order of the recipe.
    scale
        The one that it restores at: the first, until another is set.
    """

    scales: Sequence[int]
    scale: int


@dataclass(frozen=True, slots=True)
class Published:
    """Published weights of a network.

    Parameters
    ----------
    url
        Where they are: an address, or ``package:NAME/PATH`` for a file in an installed package.
    sha256
        Checksum of the file, hexadecimal.
    licence
        SPDX identifier.
    settings
        Options of the generator, and ``scale`` and ``channels``, that the weights were made for.
    sections
        What else of their recipe belongs to them: ``stretch`` and ``constraint``.
    default_for
        What is restored with them where no model is named: ``pictures`` of levels or three colours,
        or ``frames`` of other values.
    """

    url: str
    sha256: str
    licence: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)
    default_for: Literal["pictures", "frames"] | None = None


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network as a run trained it, for losses and metrics that compare SR with its output.

    A factory opens it by its parameter ``open_network``, which the core supplies.

    Parameters
    ----------
    name
        Name of the run or checkpoint, for tables.
    restore
        Restores the LR of a batch: gives SR, ``(N, C, H, W)`` on the grid of HR, both in flux,
        without gradients.
    """

    name: str
    restore: Callable[[Batch], Tensor]


#: Opens a run folder or a checkpoint as a network of the recipe's scale.
OpenNetwork = Callable[[Path], TrainedNetwork]


@runtime_checkable
class Discriminator(Protocol):
    """A network that tells real images from restored ones."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Score ``(N, C, H, W)`` images: logits of any shape that starts with N."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Iterate over what the optimiser changes."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """A network that judges images: an :class:`torch.nn.Module` that owns its normalisation.

    It classifies images, unless its attribute ``task`` names another :data:`Task`.

    Attributes
    ----------
    stages
        Names of its feature maps, shallow to deep; a detector's end with its head's outputs.
    classes
        Number of classes; 0 for embeddings.
    class_names
        Their names by index, or None where they have none.
    """

    stages: Sequence[str]
    classes: int
    class_names: Sequence[str] | None

    def __call__(self, images: Tensor, stages: Sequence[str] = (), /) -> Answer:
        """Judge ``(N, 3, H, W)`` images in [0, 1]; features of the named stages on request."""
        ...
