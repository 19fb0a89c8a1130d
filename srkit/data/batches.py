"""Batches of samples for training and evaluation, loaded in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

import torch

from srkit.components.crashes import explained
from srkit.data.crops import Drawn, Draws
from srkit.data.order import Share
from srkit.data.scales import scale_of_step
from srkit.errors import DataError, SrkitError
from srkit.interfaces import Batch, Dataset, GroupedDataset, Sample
from srkit.system.processes.workers import map_in_workers

#: Batches that each worker process loads in advance.
AHEAD = 2

#: Scale, epoch and index of a sample.
Place = tuple[int, int, int]


def stack(drawn: Sequence[Drawn]) -> Batch:
    """Stack samples with the same traits into a batch."""
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
    """Return what all samples of a batch must have in common."""
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


def check_traits(samples: Sequence[Sample]) -> None:
    """Check that samples can be stacked into one batch.

    Raises
    ------
    DataError
        If their traits differ.
    """
    first = traits(samples[0])
    for sample in samples[1:]:
        own = traits(sample)
        differing = [name for name in own if own[name] != first[name]]
        if differing:
            found = ", ".join(
                f"{name} {_text_of(first[name])} and {_text_of(own[name])}" for name in differing
            )
            raise DataError(
                f"{samples[0].name} and {sample.name} do not fit in one batch: {found}; "
                f"{_remedy(differing)}"
            )


def _text_of(trait: object) -> str:
    """Format a trait: none, a number, a shape or a range."""
    if isinstance(trait, tuple):
        whole = all(isinstance(each, int) for each in trait)
        return f"{trait}" if whole else " to ".join(f"{each:g}" for each in trait)
    return "none" if trait in (None, "") else f"{trait}"


def _remedy(differing: Sequence[str]) -> str:
    if "HR shape" in differing:
        return "set data.train.crop, or the size of the data set"
    if differing == ["data range"]:
        return (
            "frames with different black and white levels need a data set with one range for all, "
            "such as lens_pairs"
        )
    if {*differing} <= {"label", "mask", "boxes"}:
        return "provide it for all samples or for none"
    return "train on data of one kind"


def training_batches(
    draws: Mapping[int, Draws],
    share: Share,
    first_step: int,
    last_step: int,
    workers: int,
) -> Iterator[Batch]:
    """Load the micro-batches of the steps from `first_step` to before `last_step`.

    Parameters
    ----------
    draws
        By scale, with the same images; the samples of a step have one scale.
    share
        The part of each step that this process computes.
    first_step, last_step
        Range of steps.
    workers
        Worker processes that load ahead; 0 loads in this process.

    Raises
    ------
    DataError
        If a sample cannot be read, or the samples of a batch do not fit together.
    """
    first = next(iter(draws.values()))

    def places() -> Iterator[Sequence[Place]]:
        grouped = first.dataset if isinstance(first.dataset, GroupedDataset) else None
        parts = share.micro_batches(len(first.dataset), first.seed, first_step, last_step, grouped)
        for number, tickets in enumerate(parts):
            step = first_step + number // share.parts
            scale = scale_of_step(tuple(draws), first.seed, step)
            yield [(scale, *ticket) for ticket in tickets]  # a ticket is an epoch and an index

    return _load(partial(_draw_batch, draws), places(), workers)


def evaluation_batches(
    dataset: Dataset, indices: Sequence[int], batch_size: int, seed: int, workers: int
) -> Iterator[Batch]:
    """Load whole images in order; consecutive images with the same traits share a batch."""
    draws = {1: Draws(dataset, seed, None, (), 1)}
    places = [(1, 0, index) for index in indices]
    chunks = [places[i : i + batch_size] for i in range(0, len(places), batch_size)]
    return _load(partial(_draw_runs, draws), chunks, workers)


def _load(
    draw: Callable[[Sequence[Place]], list[Batch]],
    places: Iterable[Sequence[Place]],
    workers: int,
) -> Iterator[Batch]:
    for batches in map_in_workers(draw, places, workers, ahead=AHEAD):
        if isinstance(batches, SrkitError):
            raise batches
        yield from batches


def _draw(draws: Mapping[int, Draws], places: Sequence[Place]) -> list[Drawn]:
    with explained():
        return [draws[scale].draw(epoch, index) for scale, epoch, index in places]


def _draw_batch(draws: Mapping[int, Draws], places: Sequence[Place]) -> list[Batch]:
    """Draw samples and stack them."""
    drawn = _draw(draws, places)
    check_traits([item.sample for item in drawn])
    return [stack(drawn)]


def _draw_runs(draws: Mapping[int, Draws], places: Sequence[Place]) -> list[Batch]:
    """Draw samples, and stack consecutive samples that have the same traits."""
    runs = groupby(_draw(draws, places), key=lambda item: traits(item.sample))
    return [stack(list(run)) for _, run in runs]
