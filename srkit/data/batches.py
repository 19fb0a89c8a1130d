"""Batches of samples for training and evaluation, loaded in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch.utils.data import DataLoader

from srkit.data.crops import Drawn, Draws
from srkit.data.order import Share, Ticket
from srkit.data.scales import scale_of_step
from srkit.errors import DataError, SrkitError
from srkit.interfaces import Batch, Dataset, GroupedDataset, Sample
from srkit.system.processes.workers import begin_worker


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
    pin: bool,
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
    pin
        Whether to use pinned memory.

    Raises
    ------
    DataError
        If a sample cannot be read, or the samples of a batch do not fit together.
    """
    first = next(iter(draws.values()))

    def tickets() -> Iterator[list[tuple[int, Ticket]]]:
        grouped = first.dataset if isinstance(first.dataset, GroupedDataset) else None
        places = share.micro_batches(len(first.dataset), first.seed, first_step, last_step, grouped)
        for number, part in enumerate(places):
            step = first_step + number // share.parts
            scale = scale_of_step(tuple(draws), first.seed, step)
            yield [(scale, place) for place in part]

    return _load(draws, tickets(), workers, pin, _stack_all)


def evaluation_batches(
    dataset: Dataset, indices: Sequence[int], batch_size: int, seed: int, workers: int
) -> Iterator[Batch]:
    """Load whole images in order; consecutive images with the same traits share a batch."""
    draws = {1: Draws(dataset, seed, None, (), 1)}
    tickets = [(1, (0, index)) for index in indices]
    chunks = [tickets[i : i + batch_size] for i in range(0, len(tickets), batch_size)]
    return _load(draws, chunks, workers, False, _stack_runs)


@dataclass(frozen=True, slots=True)
class _ScaledDraws:
    """Draws samples by scale and ticket.

    Errors are returned, since those raised in a worker process lose their type.
    """

    draws: Mapping[int, Draws]

    def __getitem__(self, place: tuple[int, Ticket]) -> Drawn | SrkitError:
        scale, ticket = place
        try:
            return self.draws[scale].draw(*ticket)
        except SrkitError as error:
            return error


def _load(
    draws: Mapping[int, Draws],
    tickets: Iterable[list[tuple[int, Ticket]]],
    workers: int,
    pin: bool,
    combine: Callable[[Sequence[Drawn]], list[Batch]],
) -> Iterator[Batch]:
    loader: DataLoader[Any] = DataLoader(
        _ScaledDraws(draws),  # type: ignore[arg-type]
        batch_sampler=tickets,
        collate_fn=partial(_collate, combine),
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=begin_worker,
    )
    for loaded in loader:
        if isinstance(loaded, SrkitError):
            raise loaded
        yield from loaded


def _collate(
    combine: Callable[[Sequence[Drawn]], list[Batch]], found: Sequence[Drawn | SrkitError]
) -> list[Batch] | SrkitError:
    """Combine drawn samples into batches, or return the first error."""
    drawn: list[Drawn] = []
    for item in found:
        if isinstance(item, SrkitError):
            return item
        drawn.append(item)
    try:
        return combine(drawn)
    except SrkitError as error:
        return error


def _stack_all(drawn: Sequence[Drawn]) -> list[Batch]:
    check_traits([item.sample for item in drawn])
    return [stack(drawn)]


def _stack_runs(drawn: Sequence[Drawn]) -> list[Batch]:
    """Stack each run of samples with the same traits."""
    return [stack(list(run)) for _, run in groupby(drawn, key=lambda item: traits(item.sample))]
