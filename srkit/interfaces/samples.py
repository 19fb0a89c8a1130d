"""Images, samples and batches: what data sets give and networks take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Image:
    """The content of an image file.

    Parameters
    ----------
    pixels
        ``(C, H, W)`` float32.
    data_range
        The values of black and white; integers of any depth are brought to (0, 1).
    metadata
        What else the file holds, by the format's own names. Common ones are ``bits`` (of a value
        in the file; floats have 32), ``alpha`` (opacity, ``(1, H, W)`` in [0, 1]), ``frame`` (True
        for a frame of the sky, which is shown with its first row at the bottom) and ``notes``
        (messages for the user of `srkit upscale`).
    """

    pixels: Tensor
    data_range: tuple[float, float] = (0.0, 1.0)
    metadata: Mapping[str, Any] = field(default_factory=dict)


#: What teachers tell of an image: its class, the class of each pixel, boxes around things, or a
#: vector that is alike for what looks alike.
Task = Literal["classification", "segmentation", "detection", "embedding"]


#: Stands in a mask for pixels whose class nobody knows; they count nowhere.
VOID = -1


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes around the K things in an image.

    Parameters
    ----------
    corners
        ``(K, 4)`` float32: left, top, right, bottom in pixels of HR, from its upper left corner.
    labels
        ``(K,)`` int64, class indices.
    scores
        ``(K,)`` in [0, 1], how sure a detector is of each; None where the boxes are the truth.
    """

    corners: Tensor
    labels: Tensor
    scores: Tensor | None = None

    def to(self, device: torch.device) -> Boxes:
        """Copy them to a device."""
        scores = None if self.scores is None else self.scores.to(device)
        return Boxes(self.corners.to(device), self.labels.to(device), scores)


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a data set.

    HR and LR are on one scale of surface brightness: a flat image has the same value in both.
    Frames in flux per pixel are brought to flux per area of an LR pixel by their data set.

    Parameters
    ----------
    name
        What identifies it to the user: a path relative to the data set's root, usually.
    hr
        High-resolution image, ``(C, H, W)`` float32.
    lr
        Low-resolution image where the data set has real pairs; None where a degradation makes it.
    label
        Class index, for labelled data.
    data_range
        The values of black and white in `hr` and `lr`.
    unit
        Physical unit of the pixel values; empty for photographs.
    pixel_scale
        Side of an HR pixel on the sky in arcsec, where known.
    variance
        Variance of the noise in `lr`, ``(C, h, w)`` in `unit` squared, where known.
    zero_point
        AB magnitude of one unit, where known.
    mask
        Class index of every HR pixel, ``(H, W)`` int64, :data:`VOID` where unknown; None where
        nobody has drawn any.
    boxes
        Boxes around the things in a whole HR image, where known; crops and turned images have none.
    """

    name: str
    hr: Tensor
    lr: Tensor | None = None
    label: int | None = None
    data_range: tuple[float, float] = (0.0, 1.0)
    unit: str = ""
    pixel_scale: float | None = None
    variance: Tensor | None = None
    zero_point: float | None = None
    mask: Tensor | None = None
    boxes: Boxes | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples stacked for a step.

    Parameters
    ----------
    names
        Names of the samples.
    hr
        ``(N, C, H, W)`` float32.
    seeds
        One integer a sample, a pure function of run seed, epoch and index: what a random
        degradation draws from, so that a resumed run sees the same images.
    lr
        ``(N, C, h, w)``; None until the degradation has run.
    labels
        ``(N,)`` int64, or None for unlabelled data.
    data_range
        The values of black and white.
    factor
        LR pixels per HR pixel along a side as the degradation has it, which rounding hides from
        the shapes; None for real pairs.
    unit
        Physical unit of the pixel values; empty for photographs.
    pixel_scale
        Side of an HR pixel on the sky in arcsec, where known.
    variance
        Variance of the noise in `lr`, ``(N, C, h, w)`` in `unit` squared, where known.
    zero_point
        AB magnitude of one unit, where known.
    masks
        ``(N, H, W)`` int64, :data:`VOID` where unknown, or None.
    boxes
        Boxes of each whole image, or None.
    pictures
        Position in the data set and digest of each HR image, where answers on them are kept.
    """

    names: Sequence[str]
    hr: Tensor
    seeds: Sequence[int]
    lr: Tensor | None = None
    labels: Tensor | None = None
    data_range: tuple[float, float] = (0.0, 1.0)
    factor: float | None = None
    unit: str = ""
    pixel_scale: float | None = None
    variance: Tensor | None = None
    zero_point: float | None = None
    masks: Tensor | None = None
    boxes: Sequence[Boxes] | None = None
    pictures: Sequence[tuple[int, bytes]] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def span(self) -> float:
        """Width of the data range."""
        return self.data_range[1] - self.data_range[0]

    def to(self, device: torch.device, memory_format: torch.memory_format) -> Batch:
        """Copy the batch to a device, its images in the given memory format."""

        def move(images: Tensor | None) -> Tensor | None:
            if images is None:
                return None
            return images.to(device, non_blocking=True, memory_format=memory_format)

        hr = move(self.hr)
        assert hr is not None
        return replace(
            self,
            hr=hr,
            lr=move(self.lr),
            variance=move(self.variance),
            labels=None if self.labels is None else self.labels.to(device, non_blocking=True),
            masks=None if self.masks is None else self.masks.to(device, non_blocking=True),
            boxes=None if self.boxes is None else [boxes.to(device) for boxes in self.boxes],
        )


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a sample: which rows and columns.

    Parameters
    ----------
    hr
        Rows and columns of HR.
    lr
        Those of LR that show the same; None where the sample has no LR.
    """

    hr: tuple[slice, slice]
    lr: tuple[slice, slice] | None = None

    def cut(self, sample: Sample) -> Sample:
        """Cut the part out of a whole sample."""
        mask = None if sample.mask is None else sample.mask[self.hr]
        part = replace(sample, hr=sample.hr[:, *self.hr], mask=mask, boxes=None)
        if sample.lr is None or self.lr is None:
            return part
        variance = None if sample.variance is None else sample.variance[:, *self.lr]
        return replace(part, lr=sample.lr[:, *self.lr], variance=variance)


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a sample is.

    Parameters
    ----------
    name
        The sample's.
    hr
        Height and width of HR.
    lr
        Height and width of LR; None where the sample has none.
    """

    name: str
    hr: tuple[int, int]
    lr: tuple[int, int] | None = None
