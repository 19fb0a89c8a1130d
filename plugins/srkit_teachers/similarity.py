"""LPIPS and DISTS: perceptual distances from the features of a classifier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics.functional.image.dists import DISTSNetwork
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, VGG16_Weights, WeightsEnum

from srkit.errors import WeightsError
from srkit.functional import check_equal_shapes, metric_input
from srkit.interfaces import Batch
from srkit_teachers.classifiers.torchvision_models import absent, place

#: The classifier of each LPIPS network, with the weights that torchmetrics reads.
CLASSIFIERS: dict[str, WeightsEnum] = {
    "alex": AlexNet_Weights.DEFAULT,
    "vgg": VGG16_Weights.DEFAULT,
}
#: Smallest side in pixels that the networks' poolings do not reduce to nothing.
SMALLEST = 32
SEEN = "clipped and rounded to 8 bits, grey as RGB, not cropped"


class LPIPS:
    """Learned perceptual image patch similarity (Zhang et al. 2018), version 0.1.

    Distance of a classifier's features with weights fitted to human judgements. torchmetrics
    computes it with torchvision's weights of the classifier, which are downloaded once.

    Parameters
    ----------
    network
        ``alex``: AlexNet, as in most tables; ``vgg``: VGG16.

    Raises
    ------
    WeightsError
        If the classifier's weights are damaged, or not cached and not downloadable.
    """

    higher_is_better = False
    unit = ""

    def __init__(self, *, network: Literal["alex", "vgg"] = "alex") -> None:
        with _weights(CLASSIFIERS[network], "LPIPS"):
            built = LearnedPerceptualImagePatchSimilarity(net_type=network, normalize=True)
        self._network: Any = built.net
        self.protocol = f"version 0.1 with {network}, {SEEN}"

    @staticmethod
    def downloads(*, network: Literal["alex", "vgg"] = "alex") -> list[str]:
        """List the address of the weights, unless they are cached."""
        return absent(CLASSIFIERS[network])

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        first, second = _pictures(sr, batch, "LPIPS")
        with torch.no_grad():
            distance: Tensor = self._network.to(sr.device)(first, second, normalize=True)
        return distance.flatten()


class DISTS:
    """Deep image structure and texture similarity (Ding et al. 2020).

    Tolerant of textures that differ in detail but are of the same kind. torchmetrics computes it
    with torchvision's weights of VGG16, which are downloaded once.

    Raises
    ------
    WeightsError
        If the weights are damaged, or not cached and not downloadable.
    """

    higher_is_better = False
    unit = ""
    protocol = f"VGG16, {SEEN}"

    def __init__(self) -> None:
        with _weights(CLASSIFIERS["vgg"], "DISTS"):
            self._network = DISTSNetwork().eval()

    @staticmethod
    def downloads() -> list[str]:
        """List the address of the weights, unless they are cached."""
        return absent(CLASSIFIERS["vgg"])

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        first, second = _pictures(sr, batch, "DISTS")
        with torch.no_grad():
            distance: Tensor = self._network.to(sr.device)(first, second)
        return distance.reshape(len(sr))


@contextmanager
def _weights(weights: WeightsEnum, metric: str) -> Iterator[None]:
    """Raise a clear error if the weights are unavailable; preserve the random state."""
    path = place(weights)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except Exception as error:  # urllib, http.client, torch and pickle raise different kinds
        if path.is_file():
            raise WeightsError(
                f"{path}: not the weights that {metric} needs ({type(error).__name__}); delete the "
                f"file and download {weights.url} again"
            ) from error
        raise WeightsError(
            f"{metric} needs torchvision's weights, which could not be downloaded ({error}); "
            f"download {weights.url} on another machine and copy it to {path}"
        ) from error


def _pictures(sr: Tensor, batch: Batch, metric: str) -> tuple[Tensor, Tensor]:
    """Convert both images to RGB in [0, 1]."""
    check_equal_shapes(sr, batch.hr)
    channels, height, width = sr.shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"{metric} needs RGB or grey images; got {channels} channels")
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"{metric} needs at least {SMALLEST} x {SMALLEST} pixels; got {height} x {width}"
        )
    first, second = (
        metric_input(images, data_range=batch.data_range, quantize=True).expand(-1, 3, -1, -1)
        for images in (sr, batch.hr)
    )
    return first, second
