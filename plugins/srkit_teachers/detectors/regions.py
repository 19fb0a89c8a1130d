"""The second stage of two-stage detectors, applied to given regions of any image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from srkit.interfaces import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionAnswer(Answer):
    """The answer of a two-stage detector: of anchors at once, of regions on request.

    Two images of the same size are compared by the outputs for the same regions.

    Parameters
    ----------
    propose
        Returns the regions proposed by the first stage, ``(K, 4)`` for each image: left, top,
        right, bottom in pixels of the network's input.
    judge
        Returns the outputs of the second stage for given regions of each image, concatenated over
        images. Their names begin with ``head.``. Gradients pass through the pooled feature maps
        but not through the regions.
    """

    propose: Callable[[], Sequence[Tensor]]
    judge: Callable[[Sequence[Tensor]], Mapping[str, Tensor]]


def propose(network: Any, images: ImageList, maps: Mapping[str, Tensor]) -> list[Tensor]:
    """Propose regions, most likely first, like a Faster R-CNN of torchvision in ``eval()``.

    Parameters
    ----------
    network
        The detector.
    images
        Images ``(N, 3, H, W)``, normalised and padded, with their original sizes.
    maps
        The levels of their feature pyramid.

    Returns
    -------
    list of Tensor
        ``(K, 4)`` for each image; K is limited by the network and may be 0.
    """
    regions: list[Tensor]
    with torch.no_grad(), torch.autocast(images.tensors.device.type, enabled=False):
        regions, _ = network.rpn(images, maps)
    return regions


def judge(
    network: Any, images: ImageList, maps: Mapping[str, Tensor], regions: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Pool regions from the pyramid (RoIAlign, He et al. 2017), and run the box head on each.

    Parameters
    ----------
    network, images, maps
        As in :func:`propose`.
    regions
        ``(K, 4)`` for each image.

    Returns
    -------
    dict
        Float32, for the R regions of all images: ``head.region_scores``, class scores before the
        softmax, ``(R, classes)``; ``head.region_boxes``, the regression of the box for each class,
        ``(R, 4 x classes)``.
    """
    heads = network.roi_heads
    pooled = heads.box_roi_pool(maps, list(regions), images.image_sizes)
    scores, boxes = heads.box_predictor(heads.box_head(pooled))
    return {"head.region_scores": scores.float(), "head.region_boxes": boxes.float()}
