"""Augmentations: flips, rotations, jitter of colours, and mixtures of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import resize
from srkit.interfaces import Batch, Boxes, Sample

#: A probability.
Share = Annotated[float, Field(gt=0, le=1)]
#: Side of a part of an image over that of the image.
Size = Annotated[float, Field(gt=0, lt=1)]


class Flip:
    """Random flips along both axes, each with probability 1/2."""

    keeps_flux = True
    keeps_truth = True

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Flip a sample, its mask and its boxes."""
        across, down = (bool(rng.integers(2)) for _ in range(2))
        axes = [axis for axis, wanted in ((-1, across), (-2, down)) if wanted]
        if not axes:
            return sample
        height, width = sample.hr.shape[1:]

        def turn(corners: Tensor) -> Tensor:
            left, top, right, bottom = corners.unbind(1)
            if across:
                left, right = width - right, width - left
            if down:
                top, bottom = height - bottom, height - top
            return torch.stack([left, top, right, bottom], 1)

        return _turned(sample, lambda image: image.flip(axes), turn)


class Rotate:
    """Transposition of rows and columns with probability 1/2; with `flip`, all rotations by 90°."""

    keeps_flux = True
    keeps_truth = True

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Transpose a sample, its mask and its boxes."""
        wanted, _ = (bool(rng.integers(2)) for _ in range(2))  # as many numbers as for flips
        if not wanted:
            return sample
        return _turned(
            sample, lambda image: image.transpose(-1, -2), lambda corners: corners[:, [1, 0, 3, 2]]
        )


def _turned(
    sample: Sample, turn: Callable[[Tensor], Tensor], turn_corners: Callable[[Tensor], Tensor]
) -> Sample:
    """Turn all planes and the boxes of a sample."""
    lr, variance, mask = (
        None if plane is None else turn(plane)
        for plane in (sample.lr, sample.variance, sample.mask)
    )
    boxes = sample.boxes
    if boxes is not None:
        boxes = Boxes(turn_corners(boxes.corners), boxes.labels, boxes.scores)
    return replace(sample, hr=turn(sample.hr), lr=lr, variance=variance, mask=mask, boxes=boxes)


class ColourJitter:
    """Random brightness, contrast, saturation and hue, in a random order. Computed by kornia.

    HR and the LR of a real pair are changed alike, and clipped to the data range.

    Parameters
    ----------
    brightness, contrast, saturation
        The factor of each is drawn from 1 ± this value.
    hue
        The shift of the hue is drawn from ± this part of the colour circle.
    probability
        How often an image is changed.
    """

    keeps_flux = False
    keeps_truth = True

    def __init__(
        self,
        *,
        channels: int,
        brightness: Annotated[float, Field(ge=0, le=1)] = 0.2,
        contrast: Annotated[float, Field(ge=0, le=1)] = 0.2,
        saturation: Annotated[float, Field(ge=0, le=1)] = 0.2,
        hue: Annotated[float, Field(ge=0, le=0.5)] = 0.02,
        probability: Share = 0.5,
    ) -> None:
        if channels != 3:
            raise ValueError(f"colours need 3 channels; the recipe has {channels}")
        self.strengths = (brightness, contrast, saturation, hue)
        self.probability = probability

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Change the colours of a sample."""
        from kornia import enhance

        changes = (
            enhance.adjust_brightness_accumulative,
            enhance.adjust_contrast_with_mean_subtraction,
            enhance.adjust_saturation_with_gray_subtraction,
            lambda pixels, factor: enhance.adjust_hue(pixels, 2 * np.pi * (factor - 1)),
        )
        chosen, order = rng.random() < self.probability, rng.permutation(len(changes))
        factors = [float(rng.uniform(1 - each, 1 + each)) for each in self.strengths]
        if not chosen:
            return sample
        low, high = sample.data_range
        images = [sample.hr] if sample.lr is None else [sample.hr, sample.lr]
        # As one row of pixels, so that the mean, about which contrast changes, is the same.
        pixels = torch.cat([image.flatten(1) for image in images], 1)[None, :, None]
        pixels = (pixels - low) / (high - low)
        for place in order:
            if self.strengths[place]:
                pixels = changes[place](pixels, factors[place])
        pixels = low + (high - low) * pixels.clamp(0, 1)
        parts = pixels[0, :, 0].split([image[0].numel() for image in images], 1)
        hr, *lr = (part.reshape(of.shape) for part, of in zip(parts, images, strict=True))
        return replace(sample, hr=hr, lr=lr[0] if lr else None)


class Mixup:
    """A weighted mean of pairs of images (Zhang et al. 2018), of HR and LR alike.

    Parameters
    ----------
    alpha
        The weight is drawn from Beta(alpha, alpha); 1.2 as in Yoo et al. (2020).
    probability
        How often an image is mixed.
    """

    keeps_flux = False
    keeps_truth = False
    least_images = 2

    def __init__(self, *, alpha: PositiveFloat = 1.2, probability: Share = 0.5) -> None:
        self.alpha, self.probability = alpha, probability

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Mix each image with another one of the batch."""
        partners = _partners(len(batch), rng)
        weights = rng.beta(self.alpha, self.alpha, len(batch))
        weights[rng.random(len(batch)) >= self.probability] = 0

        def mix(images: Tensor) -> Tensor:
            weight = torch.from_numpy(weights).to(images)[:, None, None, None]
            return (1 - weight) * images + weight * images[partners]

        return replace(batch, hr=mix(batch.hr), lr=mix(_lr(batch)))


class CutMix:
    """A rectangle of another image (Yun et al. 2019), at the same place in HR and LR.

    Parameters
    ----------
    size
        Sides of the rectangle over those of the image; 0.7 as in Yoo et al. (2020).
    probability
        How often an image gets a part of another one.
    """

    keeps_flux = False
    keeps_truth = False
    least_images = 2

    def __init__(self, *, size: Size = 0.7, probability: Share = 0.5) -> None:
        self.size, self.probability = size, probability

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Copy a rectangle of another image of the batch into each image."""
        hr, lr, scale = batch.hr.clone(), _lr(batch).clone(), _scale(batch, "CutMix")
        partners = _partners(len(batch), rng)
        for image, other in enumerate(partners):
            place = _place(*(_side(side, self.size) for side in lr.shape[2:]), lr, rng)
            if rng.random() < self.probability:
                large = _enlarged(place, scale)
                hr[image][:, *large] = batch.hr[other][:, *large]
                lr[image][:, *place] = _lr(batch)[other][:, *place]
        return replace(batch, hr=hr, lr=lr)


class ResizeMix:
    """A whole other image, reduced, as a part of an image (Qin et al. 2020).

    HR and LR of the other image are reduced by the same factor, by antialiased bicubic
    interpolation, and clipped to the data range.

    Parameters
    ----------
    smallest, largest
        The sides of the part over those of the image are drawn between these, as in the paper.
    probability
        How often an image gets another one as a part.
    """

    keeps_flux = False
    keeps_truth = False
    least_images = 2

    def __init__(
        self, *, smallest: Size = 0.1, largest: Size = 0.8, probability: Share = 0.5
    ) -> None:
        if smallest > largest:
            raise ValueError(f"smallest is {smallest} and largest is {largest}; swap them")
        self.smallest, self.largest, self.probability = smallest, largest, probability

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Copy a reduced image of the batch into each image."""
        hr, lr, scale = batch.hr.clone(), _lr(batch).clone(), _scale(batch, "ResizeMix")
        partners = _partners(len(batch), rng)
        for image, other in enumerate(partners):
            size = rng.uniform(self.smallest, self.largest)
            rows, columns = (_side(side, size) for side in lr.shape[2:])
            place = _place(rows, columns, lr, rng)
            if rng.random() < self.probability:
                large = resize(batch.hr[other][None], (scale * rows, scale * columns))
                small = resize(_lr(batch)[other][None], (rows, columns))
                hr[image][:, *_enlarged(place, scale)] = large[0].clamp(*batch.data_range)
                lr[image][:, *place] = small[0].clamp(*batch.data_range)
        return replace(batch, hr=hr, lr=lr)


class CutBlur:
    """HR, reduced to the size of LR, in a rectangle of LR or around it (Yoo et al. 2020).

    The network learns where to sharpen and where not to. In the paper, the input has the size of
    HR. Here it has that of LR, so that nothing changes if LR is HR reduced by bicubic
    interpolation; of use for images that are blurred, noisy or compressed.

    Parameters
    ----------
    size
        Sides of the rectangle over those of the image; 0.7 as in the paper.
    probability
        How often an image is changed.
    """

    keeps_flux = False
    keeps_truth = True
    least_images = 1

    def __init__(self, *, size: Size = 0.7, probability: Share = 0.5) -> None:
        self.size, self.probability = size, probability

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Replace a part of each LR by HR of the same place."""
        lr = _lr(batch).clone()
        height, width = lr.shape[2:]
        sharp = resize(batch.hr, (height, width)).clamp(*batch.data_range)
        for image in range(len(batch)):
            place = _place(*(_side(side, self.size) for side in (height, width)), lr, rng)
            inside = torch.zeros(height, width, dtype=torch.bool, device=lr.device)
            inside[place] = True
            replaced = inside if rng.integers(2) else ~inside
            if rng.random() < self.probability:
                lr[image] = torch.where(replaced, sharp[image], lr[image])
        return replace(batch, lr=lr)


def _lr(batch: Batch) -> Tensor:
    assert batch.lr is not None
    return batch.lr


def _partners(count: int, rng: np.random.Generator) -> list[int]:
    """Return another image of the batch for each image."""
    shift = int(rng.integers(1, count))
    return [(image + shift) % count for image in range(count)]


def _scale(batch: Batch, name: str) -> int:
    """Return HR pixels per LR pixel along a side, if that is a whole number."""
    large, small = batch.hr.shape[2:], _lr(batch).shape[2:]
    scale = large[0] // small[0]
    if tuple(large) != (scale * small[0], scale * small[1]):
        raise DataError(
            f"{name} needs HR whose sides are a whole multiple of those of LR, got "
            f"{large[1]}x{large[0]} and {small[1]}x{small[0]} pixels; remove it from "
            "data.train.augment"
        )
    return scale


def _side(side: int, size: float) -> int:
    return max(1, round(size * side))


def _place(rows: int, columns: int, lr: Tensor, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw where a part of LR lies."""
    height, width = lr.shape[2:]
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    return slice(top, top + rows), slice(left, left + columns)


def _enlarged(place: tuple[slice, slice], scale: int) -> tuple[slice, slice]:
    """Return the place in HR of a part of LR."""
    rows, columns = (slice(scale * part.start, scale * part.stop) for part in place)
    return rows, columns
