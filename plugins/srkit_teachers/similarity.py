"""LPIPS and DISTS: perceptual distances from the features of a classifier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
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


Network = Literal["alex", "vgg"]


class _Similarity(nn.Module):
    """A perceptual distance of two images, by a frozen network of torchmetrics.

    Parameters
    ----------
    name
        The name in errors.
    measure
        Compares RGB in [0, 1]: a number for each image, differentiably.
    """

    def __init__(self, name: str, measure: nn.Module) -> None:
        super().__init__()
        self._name = name
        self._measure = measure.eval().requires_grad_(False)

    def distance(self, sr: Tensor, batch: Batch, *, quantize: bool) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        first, second = _pictures(sr, batch, self._name, quantize=quantize)
        with torch.autocast(sr.device.type, enabled=False):  # too coarse for DISTS' covariances
            found: Tensor = self._measure.to(sr.device)(first, second)
        return found.reshape(len(sr))


class _LPIPSNetwork(nn.Module):
    """LPIPS of RGB in [0, 1]."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        with _weights(CLASSIFIERS[network], "LPIPS"):
            built = LearnedPerceptualImagePatchSimilarity(net_type=network, normalize=True)
        self.network: Any = built.net

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        found: Tensor = self.network(first, second, normalize=True)
        return found


class _DISTSNetwork(nn.Module):
    """DISTS of RGB in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        with _weights(CLASSIFIERS["vgg"], "DISTS"):
            self.network = DISTSNetwork()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        # Otherwise torchmetrics computes in inference mode.
        found: Tensor = self.network(first, second, require_grad=torch.is_grad_enabled())
        return found


class LPIPS(_Similarity):
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

    def __init__(self, *, network: Network = "alex") -> None:
        super().__init__("LPIPS", _LPIPSNetwork(network))
        self.protocol = f"version 0.1 with {network}, {SEEN}"

    @staticmethod
    def downloads(*, network: Network = "alex") -> list[str]:
        """List the address of the weights, unless they are cached."""
        return absent(CLASSIFIERS[network])

    @torch.no_grad()
    def forward(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return self.distance(sr, batch, quantize=True)


class DISTS(_Similarity):
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
        super().__init__("DISTS", _DISTSNetwork())

    @staticmethod
    def downloads() -> list[str]:
        """List the address of the weights, unless they are cached."""
        return absent(CLASSIFIERS["vgg"])

    @torch.no_grad()
    def forward(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return self.distance(sr, batch, quantize=True)


class LPIPSLoss(_Similarity):
    """LPIPS (Zhang et al. 2018), version 0.1, as a loss: the mean over the images.

    It is that of the metric, but not rounded.

    Parameters
    ----------
    network
        ``vgg``: VGG16, which the authors recommend for training; ``alex``: AlexNet.

    Raises
    ------
    WeightsError
        If the classifier's weights are damaged, or not cached and not downloadable.
    """

    downloads = staticmethod(LPIPS.downloads)

    def __init__(self, *, network: Network = "vgg") -> None:
        super().__init__("LPIPS", _LPIPSNetwork(network))

    def forward(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return self.distance(sr, batch, quantize=False).mean()


class DISTSLoss(_Similarity):
    """DISTS (Ding et al. 2020) as a loss: the mean over the images.

    It is that of the metric, but not rounded.

    Raises
    ------
    WeightsError
        If the weights are damaged, or not cached and not downloadable.
    """

    downloads = staticmethod(DISTS.downloads)

    def __init__(self) -> None:
        super().__init__("DISTS", _DISTSNetwork())

    def forward(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        return self.distance(sr, batch, quantize=False).mean()


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


def _pictures(sr: Tensor, batch: Batch, metric: str, *, quantize: bool) -> tuple[Tensor, Tensor]:
    """Convert both images to RGB in [0, 1], rounded to 8 bits or not."""
    check_equal_shapes(sr, batch.hr)
    channels, height, width = sr.shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"{metric} needs RGB or grey images; got {channels} channels")
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"{metric} needs at least {SMALLEST} x {SMALLEST} pixels; got {height} x {width}"
        )
    first, second = (
        metric_input(images, data_range=batch.data_range, quantize=quantize).expand(-1, 3, -1, -1)
        for images in (sr, batch.hr)
    )
    return first, second
