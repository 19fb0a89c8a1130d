"""What all classifiers share: normalisation, input size, stages, float32 scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from srkit.errors import WeightsError
from srkit.interfaces import Answer
from srkit.resizing import resize


class Classifier(nn.Module, ABC):
    """A classifier of RGB images that owns its normalisation.

    A subclass says in :meth:`judge` how its network is run.

    Parameters
    ----------
    network
        From normalised images to scores.
    stages
        Names of the feature maps, shallow to deep.
    classes
        Number of classes.
    class_names
        Their names by index, or None where they have none.
    mean, std
        Per channel, of images in [0, 1].
    input_size
        Side in pixels that images are resized to; None leaves them as they are.
    fixed_size
        The only side that the network takes, if it is so limited.

    Raises
    ------
    ValueError
        If `input_size` is not the size that the network is limited to.
    """

    channels_last = True
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        stages: Sequence[str],
        classes: int,
        class_names: Sequence[str] | None,
        mean: Sequence[float],
        std: Sequence[float],
        input_size: int | None,
        fixed_size: int | None = None,
    ) -> None:
        super().__init__()
        if fixed_size not in (None, input_size):
            raise ValueError(
                f"this network takes only {fixed_size} x {fixed_size} images; set input_size: "
                f"{fixed_size}, and images of other sizes are resized to it"
            )
        self.network = network
        self.stages = tuple(stages)
        self.classes = classes
        self.class_names = class_names
        self.input_size = input_size
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        """Judge images in one pass through the network.

        Parameters
        ----------
        images
            ``(N, 3, H, W)`` in [0, 1], or ``(N, 1, H, W)`` for grey ones.
        stages
            Names of the feature maps to return.

        Raises
        ------
        ValueError
            If a stage is unknown, or the images are neither RGB nor grey.
        """
        for stage in stages:
            if stage not in self.stages:
                raise ValueError(
                    f"this teacher has no stage '{stage}'; known: {', '.join(self.stages) or '-'}"
                )
        logits, features = self.judge(self._prepare(images), stages)
        return Answer(logits.float(), features)

    @abstractmethod
    def judge(self, images: Tensor, stages: Sequence[str]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Run the network on normalised ``(N, 3, H, W)`` images: scores and feature maps."""

    def _prepare(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(
                "a teacher judges RGB or grey images, (N, 3, H, W) or (N, 1, H, W); got the shape "
                f"{tuple(images.shape)}"
            )
        if self.input_size is not None:
            images = resize(images, size=(self.input_size, self.input_size))
        # Grey images broadcast to three channels here.
        return (images.float() - self.mean) / self.std


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor of a network.

    Parameters
    ----------
    network
        Receives the weights.
    tensors
        By the network's own keys, or by those of a :class:`Classifier` around it.
    source
        Where they come from, for the error.

    Raises
    ------
    WeightsError
        If any key is missing, unexpected, or of another shape.
    """
    if all(key.startswith("network.") for key in tensors):
        tensors = {key.removeprefix("network."): value for key, value in tensors.items()}
    own = network.state_dict()
    problems = [f"{key} is missing" for key in own if key not in tensors]
    problems += [f"{key} is unexpected" for key in tensors if key not in own]
    problems += [
        f"{key} is {tuple(tensors[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise WeightsError(
            f"{source}: made for another network or another number of classes: "
            f"{'; '.join(problems[:5])}{more}"
        )
    network.load_state_dict(dict(tensors))


def check_model(library: str, model: str, known: Sequence[str]) -> None:
    """Refuse a model name that a library does not know.

    Raises
    ------
    ValueError
        Naming those that resemble it.
    """
    if model in known:
        return
    close = get_close_matches(model, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"see {library}'s list_models()"
    raise ValueError(f"{library} has no classifier '{model}'; {hint}")


def check_classes(classes: int | None, published: int) -> None:
    """Refuse a number of classes that published weights do not have.

    Raises
    ------
    ValueError
        If they differ.
    """
    if classes not in (None, published):
        raise ValueError(
            f"the published weights tell {published} classes, not {classes}; leave out 'classes', "
            "name a file, or train with weights: random"
        )
