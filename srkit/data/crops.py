"""Random crops and turns of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from srkit.data.order import Ticket
from srkit.errors import DataError, SrkitError
from srkit.interfaces import Dataset, Extent, GroupedDataset, Sample, Window, WindowedDataset
from srkit.system.digests import digest_of


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample as drawn for training, the seed of its randomness, and what identifies its HR."""

    sample: Sample
    seed: int
    picture: tuple[int, bytes] | None = None


class Draws:
    """Samples cut and turned, all chance decided by seed, epoch and index.

    Parameters
    ----------
    dataset
        The whole images.
    seed
        Seed of the run.
    crop
        Side of a random HR crop in pixels, or None for whole images.
    augment
        ``flip`` (both axes) and ``rotate`` (by 90 degrees), each at even odds.
    scale
        Side of HR over LR, which keeps the crops of real pairs aligned.
    mixed_in, share
        Other images, and the odds that a sample is drawn from them instead.
    identified
        Whether each sample comes with its position and the digest of its HR.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        crop: int | None,
        augment: Sequence[str],
        scale: int,
        mixed_in: Dataset | None = None,
        share: float = 0.0,
        *,
        identified: bool = False,
    ) -> None:
        self.identified = identified
        self.dataset, self.seed, self.crop = dataset, seed, crop
        self.augment, self.scale = tuple(augment), scale
        self.mixed_in, self.share = mixed_in, share

    def __getitem__(self, ticket: Ticket) -> Drawn | SrkitError:
        """Draw a sample; its error is returned, since a worker process would bury it."""
        try:
            return self.draw(*ticket)
        except SrkitError as error:
            return error

    def draw(self, epoch: int, index: int) -> Drawn:
        """Draw a sample for a pass over the data."""
        rng = np.random.default_rng([self.seed, epoch, index])
        dataset = self.dataset
        if self.mixed_in is not None and rng.random() < self.share:
            dataset, index = self.mixed_in, int(rng.integers(len(self.mixed_in)))
        return self._draw(dataset, index, rng)

    def some(self) -> list[Drawn]:
        """Draw the first sample and the last, in whose place that of the first group may stand.

        Another group may have to be fetched.
        """
        length = len(self.dataset)
        if isinstance(self.dataset, GroupedDataset):
            length = self.dataset.groups[0]
        rng = np.random.default_rng(self.seed)
        return [self._draw(self.dataset, index, rng) for index in sorted({0, length - 1})]

    def some_mixed_in(self) -> list[Drawn]:
        """Draw the first sample of what is mixed in, if anything is."""
        if self.mixed_in is None:
            return []
        return [self._draw(self.mixed_in, 0, np.random.default_rng(self.seed))]

    def _draw(self, dataset: Dataset, index: int, rng: np.random.Generator) -> Drawn:
        if self.crop is None:
            sample = dataset[index]
        elif isinstance(dataset, WindowedDataset):
            window = random_window(dataset.extent(index), self.crop, self.scale, rng)
            sample = dataset.window(index, window)
        else:
            sample = random_crop(dataset[index], self.crop, self.scale, rng)
        for name in self.augment:
            sample = _turn(sample, name, rng)
        picture = (index, digest_of(sample.hr)) if self.identified else None
        return Drawn(sample, int(rng.integers(2**63)), picture)


class ScaledDraws:
    """Samples of several scales; a ticket says of which.

    Parameters
    ----------
    draws
        By scale.
    """

    def __init__(self, draws: Mapping[int, Draws]) -> None:
        self.draws = draws

    def __getitem__(self, ticket: tuple[int, Ticket]) -> Drawn | SrkitError:
        """Draw a sample of a scale."""
        scale, place = ticket
        return self.draws[scale][place]


def random_crop(sample: Sample, side: int, scale: int, rng: np.random.Generator) -> Sample:
    """Cut a square of `side` HR pixels; a real pair's LR is cut at the same place.

    Raises
    ------
    DataError
        As :func:`random_window`.
    """
    hr, lr = sample.hr.shape, None if sample.lr is None else sample.lr.shape
    extent = Extent(sample.name, (hr[1], hr[2]), None if lr is None else (lr[1], lr[2]))
    return random_window(extent, side, scale, rng).cut(sample)


def random_window(extent: Extent, side: int, scale: int, rng: np.random.Generator) -> Window:
    """Choose a square of `side` HR pixels, and the place in a real pair's LR that shows the same.

    Raises
    ------
    DataError
        If the image is smaller than the crop, or the sides of a pair do not have this scale.
    """
    height, width = extent.hr
    if min(height, width) < side:
        raise DataError(
            f"{extent.name}: {width}x{height} pixels are too few for a crop of {side}; "
            "choose a smaller data.train.crop, or leave the picture out"
        )
    if extent.lr is None:
        y, x = (int(rng.integers(length - side + 1)) for length in (height, width))
        return Window((slice(y, y + side), slice(x, x + side)))
    rows, columns = extent.lr
    if abs(height - scale * rows) >= scale or abs(width - scale * columns) >= scale:
        raise DataError(
            f"{extent.name}: LR of {columns}x{rows} pixels does not fit HR of {width}x{height} at "
            f"scale {scale}; set the recipe's scale, or leave the pair out"
        )
    small = side // scale
    # Where HR is no multiple of the scale, LR was rounded: stay inside both.
    whole = (min(rows, height // scale), min(columns, width // scale))
    y, x = (int(rng.integers(length - small + 1)) for length in whole)
    return Window(
        (slice(scale * y, scale * y + side), slice(scale * x, scale * x + side)),
        (slice(y, y + small), slice(x, x + small)),
    )


def _turn(sample: Sample, name: str, rng: np.random.Generator) -> Sample:
    first, second = (bool(rng.integers(2)) for _ in range(2))

    def flip(image: Tensor) -> Tensor:
        axes = [axis for axis, wanted in ((-1, first), (-2, second)) if wanted]
        return image.flip(axes) if axes else image

    def rotate(image: Tensor) -> Tensor:
        return image.transpose(-1, -2) if first else image

    turn = flip if name == "flip" else rotate
    lr, variance, mask = (
        None if plane is None else turn(plane)
        for plane in (sample.lr, sample.variance, sample.mask)
    )
    return replace(sample, hr=turn(sample.hr), lr=lr, variance=variance, mask=mask, boxes=None)
