"""Images, samples and batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Image:
    """The content of an image file.

    Parameters
    ----------
    pixels
        ``(C, H, W)`` float32.
    data_range
        The values of black and white; integers of any depth are scaled to (0, 1).
    metadata
        The other content of the file, by names of the format. Common names are ``bits`` (of a value
        in the file; floats have 32), ``alpha`` (opacity, ``(1, H, W)`` in [0, 1]), ``frame`` (True
        for a frame of the sky, which is shown with its first row at the bottom), ``notes``
        (messages for the user of `srkit upscale`) and ``guesses`` (those of them that state what
        was guessed, of which users of :func:`srkit.upscale` are warned).
    """

    pixels: Tensor
    data_range: tuple[float, float] = (0.0, 1.0)
    metadata: Mapping[str, Any] = field(default_factory=dict)


#: The output of a teacher: the class of an image, the class of each pixel, boxes around objects,
#: or a vector that is similar for similar images.
Task = Literal["classification", "segmentation", "detection", "embedding"]


#: The value in a mask of pixels whose class is unknown; they are ignored.
VOID = -1


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes around the K objects in an image.

    Parameters
    ----------
    corners
        ``(K, 4)`` float32: left, top, right, bottom in HR pixels from the upper left corner.
    labels
        ``(K,)`` int64, class indices.
    scores
        ``(K,)`` in [0, 1], the confidence of a detector; None if the boxes are the truth.
    """

    corners: Tensor
    labels: Tensor
    scores: Tensor | None = None

    def to(self, device: torch.device) -> Boxes:
        """Copy the boxes to a device."""
        scores = None if self.scores is None else self.scores.to(device)
        return Boxes(self.corners.to(device), self.labels.to(device), scores)


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a data set.

    HR and LR have the same scale of surface brightness: a flat image has the same value in both.
    Data sets convert frames in flux per pixel to flux per area of an LR pixel.

    Parameters
    ----------
    name
        Identifies it to the user; usually a path relative to the data set's root.
    hr
        High-resolution image, ``(C, H, W)`` float32.
    lr
        Low-resolution image of a real pair; None if a degradation computes it.
    label
        Class index of labelled data.
    data_range
        The values of black and white in `hr` and `lr`.
    unit
        Physical unit of the pixel values; empty for photographs.
    pixel_scale
        Side of an HR pixel on the sky in arcsec, if known.
    variance
        Variance of the noise in `lr`, ``(C, h, w)`` in `unit` squared, if known.
    zero_point
        AB magnitude of one unit, if known.
    mask
        Class index of every HR pixel, ``(H, W)`` int64, :data:`VOID` where unknown; or None.
    boxes
        Boxes around the objects in a whole HR image, if known; crops have none.
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
    """Samples that are stacked for a step.

    Parameters
    ----------
    names
        Names of the samples.
    hr
        ``(N, C, H, W)`` float32.
    seeds
        An integer for each sample, a function of run seed, epoch and index only: the seed of
        random degradations, so that a resumed run has the same images.
    lr
        ``(N, C, h, w)``; None before the degradation.
    labels
        ``(N,)`` int64, or None for unlabelled data.
    data_range
        The values of black and white.
    factor
        LR pixels per HR pixel along a side according to the degradation, since sides are rounded;
        None for real pairs.
    unit
        Physical unit of the pixel values; empty for photographs.
    pixel_scale
        Side of an HR pixel on the sky in arcsec, if known.
    variance
        Variance of the noise in `lr`, ``(N, C, h, w)`` in `unit` squared, if known.
    zero_point
        AB magnitude of one unit, if known.
    masks
        ``(N, H, W)`` int64, :data:`VOID` where unknown, or None.
    boxes
        Boxes of each whole image, or None.
    pictures
        Position in the data set and digest of each HR image, if teacher outputs on them are kept.
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
    """A part of a sample, by rows and columns.

    Parameters
    ----------
    hr
        Rows and columns of HR.
    lr
        The same part of LR; None if the sample has no LR.
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
    """The size of a sample.

    Parameters
    ----------
    name
        Name of the sample.
    hr
        Height and width of HR.
    lr
        Height and width of LR; None if the sample has no LR.
    """

    name: str
    hr: tuple[int, int]
    lr: tuple[int, int] | None = None
