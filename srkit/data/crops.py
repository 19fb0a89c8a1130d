"""Random crops and augmentations of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from srkit.components.registry import owner_of
from srkit.data.augmenting import augment_sample
from srkit.errors import ContractError, DataError, PluginError
from srkit.interfaces import (
    Dataset,
    Extent,
    GroupedDataset,
    Sample,
    SampleAugmentation,
    Window,
    WindowedDataset,
)
from srkit.interfaces._contract import require_sample
from srkit.system.digests import digest_of_image


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample with the seed of its degradation.

    Parameters
    ----------
    sample
        The sample, cropped and augmented.
    seed
        From which a random degradation draws.
    picture
        Index and digest of HR, which identify the image; None unless requested.
    """

    sample: Sample
    seed: int
    picture: tuple[int, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Draws:
    """Random crops and augmentations of a data set, as a pure function of seed, epoch and index.

    Parameters
    ----------
    dataset
        The whole images.
    seed
        Seed of the run.
    crop
        Side of a random HR crop in pixels, or None for whole images.
    augment
        Random changes of each sample, in their order.
    scale
        Ratio of the sides of HR and LR, which keeps the crops of real pairs aligned.
    mixed_in, share
        Other images, and the probability that a sample is drawn from them instead.
    identified
        Whether to return what identifies each image.
    """

    dataset: Dataset
    seed: int
    crop: int | None
    augment: Sequence[SampleAugmentation]
    scale: int
    mixed_in: Dataset | None = None
    share: float = 0.0
    identified: bool = field(default=False, kw_only=True)

    def draw(self, epoch: int, index: int) -> Drawn:
        """Draw a sample of an epoch."""
        rng = np.random.default_rng([self.seed, epoch, index])
        dataset = self.dataset
        if self.mixed_in is not None and rng.random() < self.share:
            dataset, index = self.mixed_in, int(rng.integers(len(self.mixed_in)))
        return self._draw(dataset, index, rng)

    def examples(self) -> list[Drawn]:
        """Draw the first and the last sample; of grouped data, those of the first group.

        No other group is then downloaded.
        """
        length = len(self.dataset)
        if isinstance(self.dataset, GroupedDataset):
            length = self.dataset.groups[0]
        rng = np.random.default_rng(self.seed)
        return [self._draw(self.dataset, index, rng) for index in sorted({0, length - 1})]

    def mixed_in_examples(self) -> list[Drawn]:
        """Draw the first of the images that are mixed in, if there are any."""
        if self.mixed_in is None:
            return []
        return [self._draw(self.mixed_in, 0, np.random.default_rng(self.seed))]

    def _draw(self, dataset: Dataset, index: int, rng: np.random.Generator) -> Drawn:
        if self.crop is None:
            sample = _checked(dataset[index], dataset)
        elif isinstance(dataset, WindowedDataset):
            window = random_window(dataset.extent(index), self.crop, self.scale, rng)
            sample = _checked(dataset.window(index, window), dataset)
        else:
            sample = random_crop(_checked(dataset[index], dataset), self.crop, self.scale, rng)
        for augmentation in self.augment:
            sample = augment_sample(augmentation, sample, rng)
        picture = (index, digest_of_image(sample.hr)) if self.identified else None
        return Drawn(sample, int(rng.integers(2**63)), picture)


def _checked(sample: Sample, dataset: Dataset) -> Sample:
    """Return a sample whose images have the right type and number of channels."""
    try:
        require_sample(sample, dataset.channels)
    except ContractError as error:
        kind = type(dataset)
        owner = owner_of(kind.__module__) or kind.__module__
        raise PluginError(f"data set {kind.__name__} of {owner}: {error}") from error
    return sample


def random_crop(sample: Sample, side: int, scale: int, rng: np.random.Generator) -> Sample:
    """Cut out a square of `side` HR pixels, and the same field of a real pair's LR.

    Raises
    ------
    DataError
        As :func:`random_window`.
    """
    hr, lr = sample.hr.shape, None if sample.lr is None else sample.lr.shape
    extent = Extent(sample.name, (hr[1], hr[2]), None if lr is None else (lr[1], lr[2]))
    return random_window(extent, side, scale, rng).cut(sample)


def random_window(extent: Extent, side: int, scale: int, rng: np.random.Generator) -> Window:
    """Draw a square of `side` HR pixels, and the same field of a real pair's LR.

    Raises
    ------
    DataError
        If the image is smaller than the crop, or the sizes of a pair do not fit the scale.
    """
    check_crop(extent, side)
    height, width = extent.hr
    if extent.lr is None:
        y, x = (int(rng.integers(length - side + 1)) for length in (height, width))
        return Window((slice(y, y + side), slice(x, x + side)))
    check_pair(extent, scale)
    rows, columns = extent.lr
    small = side // scale
    # If HR is not a multiple of the scale, LR was rounded: stay inside both.
    whole = (min(rows, height // scale), min(columns, width // scale))
    y, x = (int(rng.integers(length - small + 1)) for length in whole)
    return Window(
        (slice(scale * y, scale * y + side), slice(scale * x, scale * x + side)),
        (slice(y, y + small), slice(x, x + small)),
    )


def check_crop(extent: Extent, side: int) -> None:
    """Check that an image is as large as the crop.

    Raises
    ------
    DataError
        If it is smaller.
    """
    height, width = extent.hr
    if min(height, width) < side:
        raise DataError(
            f"{extent.name}: {width}x{height} pixels are too few for a crop of {side}; "
            "choose a smaller data.train.crop, or remove the image"
        )


def check_pair(extent: Extent, scale: int) -> None:
    """Check that LR of a pair has the size of HR divided by the scale, rounded up or down.

    Raises
    ------
    DataError
        If it has another size.
    """
    if extent.lr is None:
        return
    (height, width), (rows, columns) = extent.hr, extent.lr
    if abs(height - scale * rows) >= scale or abs(width - scale * columns) >= scale:
        raise DataError(
            f"{extent.name}: LR of {columns}x{rows} pixels does not fit HR of {width}x{height} at "
            f"scale {scale}; set the recipe's scale, or remove the pair"
        )
