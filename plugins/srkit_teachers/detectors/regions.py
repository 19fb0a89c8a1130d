"""The second stage of detectors that propose regions: what it says of regions of any image."""

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
    """What a detector of two stages says: of the anchors at once, of regions where it is asked.

    Two images of one size are compared by what is said of the same regions in both.

    Parameters
    ----------
    propose
        Gives the regions that the first stage proposes, ``(K, 4)`` for each image: left, top,
        right, bottom in pixels as the network sees them.
    judge
        Gives the outputs of the second stage for some regions of each image, those of all images
        joined. Their names begin with ``head.``. Gradients pass through what is pooled from the
        feature maps, and not through the regions.
    """

    propose: Callable[[], Sequence[Tensor]]
    judge: Callable[[Sequence[Tensor]], Mapping[str, Tensor]]


def propose(network: Any, images: ImageList, maps: Mapping[str, Tensor]) -> list[Tensor]:
    """Propose regions, the likeliest first, as a Faster R-CNN of torchvision in ``eval()`` does.

    Parameters
    ----------
    network
        The detector.
    images
        ``(N, 3, H, W)``, normalised and padded, with their sizes before.
    maps
        The levels of their feature pyramid.

    Returns
    -------
    list of Tensor
        ``(K, 4)`` for each image; K is no more than the network's own limit, and may be 0.
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
        As of :func:`propose`.
    regions
        ``(K, 4)`` for each image.

    Returns
    -------
    dict
        Float32, of the R regions of all images: ``head.region_scores``, class scores before the
        softmax, ``(R, classes)``; ``head.region_boxes``, the regression of the box for each class,
        ``(R, 4 x classes)``.
    """
    heads = network.roi_heads
    pooled = heads.box_roi_pool(maps, list(regions), images.image_sizes)
    scores, boxes = heads.box_predictor(heads.box_head(pooled))
    return {"head.region_scores": scores.float(), "head.region_boxes": boxes.float()}
