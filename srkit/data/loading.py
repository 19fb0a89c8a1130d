"""Crops, batches, and an order of samples that is a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader

from srkit.data.crops import Drawn, Draws, ScaledDraws
from srkit.data.order import Share, Ticket
from srkit.data.scales import scale_of_step
from srkit.errors import DataError, SrkitError
from srkit.interfaces import Batch, Dataset, GroupedDataset, Sample
from srkit.system.processes.workers import begin_worker

Stacked = TypeVar("Stacked", Batch, list[Batch])


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
