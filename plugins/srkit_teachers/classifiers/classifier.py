"""The base of all classifiers: normalisation, input size, stages, float32 scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from srkit.data import Choice
from srkit.errors import WeightsError
from srkit.functional import resize
from srkit.interfaces import Answer
from srkit.weights import read_tensors, trained_teacher

#: ``published``: with the mean and standard deviation of the published weights, for photographs in
#: [0, 1]. ``image``: with those of each image, over all its channels, for values of any range.
Normalise = Literal["published", "image"]

#: The number of classes of a network, or the subset that it reports.
Classes = PositiveInt | Choice


class Classifier(nn.Module, ABC):
    """A classifier of images that owns its normalisation.

    A subclass implements :meth:`judge`, which runs its network.

    Parameters
    ----------
    network
        From normalised images to scores.
    stages
        Names of the feature maps, shallow to deep.
    classes
        Number of classes.
    class_names
        Their names by index, or None if they have no names.
    chosen
        Indices of the classes to report, as if there were no others; None reports all.
    mean, std
        Per channel, of RGB images in [0, 1].
    normalise
        How images are normalised.
    channels
        Channels of the network's images; a network of 3 channels accepts grey images as well.
    input_size
        Side in pixels to which images are resized; None keeps their size.
    fixed_size
        The only side that the network accepts, if any.

    Raises
    ------
    ValueError
        If `input_size` differs from `fixed_size`, or a network of other than 3 channels is to be
        normalised as published for RGB.
    """

    channels_last = True
    mean: Tensor
    std: Tensor
    chosen: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        *,
        stages: Sequence[str],
        classes: int,
        class_names: Sequence[str] | None,
        chosen: Sequence[int] | None = None,
        mean: Sequence[float],
        std: Sequence[float],
        normalise: Normalise,
        channels: int = 3,
        input_size: int | None,
        fixed_size: int | None = None,
    ) -> None:
        super().__init__()
        if fixed_size not in (None, input_size):
            raise ValueError(
                f"this network accepts only {fixed_size} x {fixed_size} images; set input_size: "
                f"{fixed_size} to resize other images"
            )
        if normalise == "published" and channels != 3:
            raise ValueError(
                f"a network of {channels} channel{'' if channels == 1 else 's'} has no published "
                "normalisation, which is for RGB; set normalise: image"
            )
        self.network = network
        self.normalise = normalise
        self.channels = channels
        self.stages = tuple(stages)
        self.classes = classes if chosen is None else len(chosen)
        self.class_names = class_names
        if chosen is not None and class_names is not None:
            self.class_names = [class_names[index] for index in chosen]
        self.input_size = input_size
        indices = None if chosen is None else torch.tensor(chosen)
        self.register_buffer("chosen", indices, persistent=False)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        """Classify images in one pass through the network.

        Parameters
        ----------
        images
            ``(N, C, H, W)`` of the network's channels, or ``(N, 1, H, W)`` for RGB networks; in
            [0, 1] unless each image is normalised separately.
        stages
            Names of the feature maps to return.

        Raises
        ------
        ValueError
            If a stage is unknown, or the images have another number of channels.
        """
        self.check_stages(stages)
        logits, features = self.judge(self._prepare(images), stages)
        if self.chosen is not None:
            logits = logits[:, self.chosen]
        return Answer(logits.float(), features)

    def check_stages(self, stages: Sequence[str]) -> None:
        """Check that stages are known.

        Raises
        ------
        ValueError
            If one is unknown; the message lists the known stages.
        """
        for stage in stages:
            if stage not in self.stages:
                raise ValueError(
                    f"this teacher has no stage '{stage}'; known: {', '.join(self.stages) or '-'}"
                )

    @abstractmethod
    def judge(self, images: Tensor, stages: Sequence[str]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Run the network on normalised ``(N, C, H, W)`` images: scores and feature maps."""

    def _prepare(self, images: Tensor) -> Tensor:
        grey = self.channels == 3 and images.shape[1:2] == (1,)
        if images.ndim != 4 or not (grey or images.shape[1] == self.channels):
            expected = {
                1: "grey images, (N, 1, H, W)",
                3: "RGB or grey images, (N, 3, H, W) or (N, 1, H, W)",
            }.get(self.channels, f"images of {self.channels} channels")
            raise ValueError(
                f"this teacher expects {expected}; got the shape {tuple(images.shape)}"
            )
        if self.input_size is not None:
            images = resize(images, size=(self.input_size, self.input_size))
        images = images.float()
        if self.normalise == "image":
            return standardise(images).expand(-1, self.channels, -1, -1)
        # Grey images are broadcast to three channels here.
        return (images - self.mean) / self.std


def standardise(images: Tensor) -> Tensor:
    """Subtract from each image its mean and divide by its standard deviation, over all channels.

    A flat image becomes zero.

    Parameters
    ----------
    images
        ``(N, C, H, W)`` float32 of any range.
    """
    centred = images - images.mean((1, 2, 3), keepdim=True)
    variance = centred.square().mean((1, 2, 3), keepdim=True)
    return centred / torch.where(variance > 0, variance, 1).sqrt()


def read_weights(path: Path, normalise: Normalise) -> tuple[dict[str, Tensor], Classes | None]:
    """Read the weights of a file or of a classifier trained by a run.

    Parameters
    ----------
    path
        A weight file, a checkpoint, or a run folder: its best checkpoint, else its last.
    normalise
        How the images will be normalised; it must match the run.

    Returns
    -------
    tensors
        Tensors by the network's own keys.
    classes
        Their number or subset in the recipe of the run; None if it has neither.

    Raises
    ------
    WeightsError
        If there is no such file or run, it is damaged, or it was trained with another
        normalisation.
    """
    tensors, options = trained_teacher(path) or (read_tensors(path), {})
    if options.get("normalise", normalise) != normalise:
        raise WeightsError(
            f"{path}: trained with normalise: {options['normalise']}, not {normalise}; use the same"
        )
    if all(key.startswith("network.") for key in tensors):
        tensors = {key.removeprefix("network."): value for key, value in tensors.items()}
    classes = options.get("classes")
    return tensors, Path(classes) if isinstance(classes, str) else classes


def split_classes(classes: Classes | None) -> tuple[int | None, Choice | None]:
    """Distinguish a number of classes from a subset of the network's classes."""
    return (classes, None) if classes is None or isinstance(classes, int) else (None, classes)


def check_new_head(classes: Classes | None, new_head: bool) -> None:
    """Check that a new head has a number of classes.

    Raises
    ------
    ValueError
        If a new head is requested without a number of classes.
    """
    if new_head and not isinstance(classes, int):
        raise ValueError("new_head: requires a number of classes; set 'classes' to a number")


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor of a network.

    Parameters
    ----------
    network
        Receives the weights.
    tensors
        Tensors by the network's own keys.
    source
        Origin of the tensors, for error messages.

    Raises
    ------
    WeightsError
        If any key is missing or unexpected, or has another shape.
    """
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


def check_model(library: str, model: str, known: Sequence[str], kind: str = "classifier") -> None:
    """Check that a library has a model.

    Raises
    ------
    ValueError
        If it does not; the message lists similar names.
    """
    if model in known:
        return
    close = get_close_matches(model, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"see {library}'s list_models()"
    raise ValueError(f"{library} has no {kind} '{model}'; {hint}")


def check_classes(classes: int | None, published: int) -> None:
    """Check the number of classes of published weights.

    Raises
    ------
    ValueError
        If they differ.
    """
    if classes not in (None, published):
        raise ValueError(
            f"the published weights have {published} classes, not {classes}; remove 'classes', "
            "give a file, or train with new_head: true or weights: random"
        )
