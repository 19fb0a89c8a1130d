"""Crops, batches, and an order of samples that is a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from srkit.assembly.build import Assembly
from srkit.assembly.kept_answers import digest_of
from srkit.data.scales import scale_of_step
from srkit.errors import DataError, SrkitError
from srkit.interfaces import Batch, Dataset, Extent, GroupedDataset, Sample, Window, WindowedDataset
from srkit.system.processes.workers import begin_worker

#: Which sample, in which pass over the data.
Ticket = tuple[int, int]

Stacked = TypeVar("Stacked", Batch, list[Batch])


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


def draws_of(assembly: Assembly, *, identified: bool = False) -> dict[int, Draws]:
    """Give what training draws from, by scale."""
    recipe, source = assembly.recipe, assembly.recipe.data.train
    assert source is not None
    return {
        scale: Draws(
            part.data["train"],
            recipe.seed,
            source.hr_crop(scale),
            source.augment,
            scale,
            part.mixed_in.get("train"),
            source.mix.share if source.mix else 0.0,
            identified=identified,
        )
        for scale, part in assembly.by_scale.items()
    }


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


def stack(drawn: Sequence[Drawn]) -> Batch:
    """Stack samples of one kind to a batch."""
    samples = [item.sample for item in drawn]
    labels = [sample.label for sample in samples if sample.label is not None]
    masks = [sample.mask for sample in samples if sample.mask is not None]
    boxes = [sample.boxes for sample in samples if sample.boxes is not None]
    pairs = [sample.lr for sample in samples if sample.lr is not None]
    variances = [sample.variance for sample in samples if sample.variance is not None]
    return Batch(
        names=[sample.name for sample in samples],
        hr=torch.stack([sample.hr for sample in samples]),
        seeds=[item.seed for item in drawn],
        lr=torch.stack(pairs) if pairs else None,
        labels=torch.tensor(labels) if labels else None,
        masks=torch.stack(masks) if masks else None,
        boxes=boxes or None,
        data_range=samples[0].data_range,
        unit=samples[0].unit,
        pixel_scale=samples[0].pixel_scale,
        variance=torch.stack(variances) if variances else None,
        zero_point=samples[0].zero_point,
        pictures=[item.picture for item in drawn if item.picture is not None],
    )


def traits(sample: Sample) -> dict[str, object]:
    """Tell what must agree within a batch."""
    return {
        "HR shape": tuple(sample.hr.shape),
        "LR shape": None if sample.lr is None else tuple(sample.lr.shape),
        "data range": sample.data_range,
        "unit": sample.unit,
        "pixel scale": sample.pixel_scale,
        "zero point": sample.zero_point,
        "label": None if sample.label is None else "known",
        "mask": None if sample.mask is None else "known",
        "boxes": None if sample.boxes is None else "known",
        "variance": None if sample.variance is None else "known",
    }


def unlike(samples: Sequence[Sample]) -> str | None:
    """Say why samples do not fit in one batch of training, and what to do; None where they do."""
    first = traits(samples[0])
    for sample in samples[1:]:
        own = traits(sample)
        differing = [name for name in own if own[name] != first[name]]
        if differing:
            told = ", ".join(
                f"{name} {_say(first[name])} and {_say(own[name])}" for name in differing
            )
            names = f"{samples[0].name} and {sample.name}"
            return f"{names} do not fit in one batch: {told}; {_remedy(differing)}"
    return None


def _say(trait: object) -> str:
    """Write a trait: none, a number, a shape or a range."""
    if isinstance(trait, tuple):
        whole = all(isinstance(each, int) for each in trait)
        return f"{trait}" if whole else " to ".join(f"{each:g}" for each in trait)
    return "none" if trait in (None, "") else f"{trait}"


def _remedy(differing: Sequence[str]) -> str:
    if "HR shape" in differing:
        return "set data.train.crop, or the data set's size"
    if differing == ["data range"]:
        return (
            "frames that have black and white of their own need a data set with one range for all, "
            "such as lens_pairs"
        )
    if {*differing} <= {"label", "mask", "boxes"}:
        return "give it to all of them or to none"
    return "train on data of one kind"


def order(
    length: int, seed: int, first: int = 0, grouped: GroupedDataset | None = None
) -> Iterator[Ticket]:
    """Iterate without end over the data from position `first`, each pass in its own order.

    With groups, each pass shuffles them, and the samples of some of them at a time.
    """
    epoch, skipped = divmod(first, length)
    for number in count(epoch):
        if grouped is None:
            pieces = iter([np.random.default_rng([seed, number]).permutation(length)])
        else:
            pieces = _shuffled_groups(grouped, seed, number, skipped)
        for piece in pieces:
            for index in piece[skipped:]:
                yield number, int(index)
            skipped = max(0, skipped - len(piece))


def _shuffled_groups(
    grouped: GroupedDataset, seed: int, epoch: int, skipped: int
) -> Iterator[NDArray[np.int64]]:
    """Shuffle the groups of a pass, and the samples of some of them at a time.

    Those behind which `skipped` samples end are not expected, since nothing of them is read.
    """
    starts = np.cumsum([0, *grouped.groups])
    chosen = np.random.default_rng([seed, epoch]).permutation(len(grouped.groups))
    sets = [chosen[i : i + grouped.together] for i in range(0, len(chosen), grouped.together)]
    position = 0
    for place, groups in enumerate(sets):
        piece = np.concatenate([np.arange(starts[g], starts[g + 1]) for g in groups])
        position += len(piece)
        if position > skipped:
            for needed in sets[place : place + 2]:
                grouped.expect(needed.tolist())
        np.random.default_rng([seed, epoch, place]).shuffle(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class Share:
    """The part of every step that one process computes at a time.

    Parameters
    ----------
    batch_size
        Samples of a whole step, over all processes and parts.
    rank, processes
        Which process of how many.
    parts
        Micro-batches that each process adds up before it changes the weights.
    """

    batch_size: int
    rank: int = 0
    processes: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % (self.processes * self.parts):
            raise DataError(
                f"training.batch_size: {self.batch_size} samples cannot be split evenly over "
                f"{self.processes} processes and training.accumulate = {self.parts} parts"
            )

    def micro_batches(
        self,
        length: int,
        seed: int,
        first_step: int,
        last_step: int,
        grouped: GroupedDataset | None = None,
    ) -> Iterator[list[Ticket]]:
        """Iterate over this process's micro-batches, `parts` a step.

        Step s takes the samples from position ``s * batch_size`` on in :func:`order`, whatever the
        number of processes, so that a run is the same on one machine or eight.
        """
        tickets = order(length, seed, first_step * self.batch_size, grouped)
        size = self.batch_size // (self.processes * self.parts)
        for _ in range(first_step, last_step):
            step = [next(tickets) for _ in range(self.batch_size)]
            for part in range(self.parts):
                start = (part * self.processes + self.rank) * size
                yield step[start : start + size]


def training_batches(
    draws: Mapping[int, Draws],
    share: Share,
    first_step: int,
    last_step: int,
    workers: int,
    pin: bool,
) -> Iterator[Batch]:
    """Load the micro-batches of a stretch of training, ahead of time in worker processes.

    `draws` has the same images for each scale; the samples of a step are all of one.
    """
    first = next(iter(draws.values()))

    def tickets() -> Iterator[list[tuple[int, Ticket]]]:
        grouped = first.dataset if isinstance(first.dataset, GroupedDataset) else None
        places = share.micro_batches(len(first.dataset), first.seed, first_step, last_step, grouped)
        for number, part in enumerate(places):
            step = first_step + number // share.parts
            scale = scale_of_step(tuple(draws), first.seed, step)
            yield [(scale, place) for place in part]

    yield from _load(ScaledDraws(draws), tickets(), workers, pin, _stack_all)


def evaluation_batches(
    dataset: Dataset, indices: Sequence[int], batch_size: int, seed: int, workers: int
) -> Iterator[Batch]:
    """Load whole images in order; neighbours of one shape share a batch."""
    draws = Draws(dataset, seed, None, (), 1)
    tickets = [(0, index) for index in indices]
    chunks = [tickets[i : i + batch_size] for i in range(0, len(tickets), batch_size)]
    for batches in _load(draws, chunks, workers, False, _stack_alike):
        yield from batches


def _load(
    draws: Draws | ScaledDraws,
    tickets: Iterable[list[Any]],
    workers: int,
    pin: bool,
    collate: Callable[[Sequence[Drawn | SrkitError]], Stacked | SrkitError],
) -> Iterator[Stacked]:
    loader: DataLoader[Any] = DataLoader(
        draws,  # type: ignore[arg-type]
        batch_sampler=tickets,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=begin_worker,
    )
    for loaded in loader:
        if isinstance(loaded, SrkitError):
            raise loaded
        yield loaded


def _stack_all(drawn: Sequence[Drawn | SrkitError]) -> Batch | SrkitError:
    """Stack samples to one batch; hand the first error on to the main process."""
    whole = _without_errors(drawn)
    if isinstance(whole, SrkitError):
        return whole
    problem = unlike([item.sample for item in whole])
    return stack(whole) if problem is None else DataError(problem)


def _stack_alike(drawn: Sequence[Drawn | SrkitError]) -> list[Batch] | SrkitError:
    """Stack neighbours of one kind; hand the first error on to the main process."""
    whole = _without_errors(drawn)
    if isinstance(whole, SrkitError):
        return whole
    return [stack(list(group)) for _, group in groupby(whole, key=lambda item: traits(item.sample))]


def _without_errors(drawn: Sequence[Drawn | SrkitError]) -> list[Drawn] | SrkitError:
    """Give the samples, or the first error among them."""
    whole: list[Drawn] = []
    for item in drawn:
        if isinstance(item, SrkitError):
            return item
        whole.append(item)
    return whole
