"""Apply augmentations, and refuse those that would falsify the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from srkit.components.registry import owner_of
from srkit.errors import ContractError, DataError, PluginError
from srkit.interfaces import Augmentation, Batch, BatchAugmentation, Sample, SampleAugmentation
from srkit.interfaces._contract import require_augmented, require_sample

#: What may be known of an image.
TRUTH = ("labels", "masks", "boxes")


def augment_sample(
    augmentation: SampleAugmentation, sample: Sample, rng: np.random.Generator
) -> Sample:
    """Augment a sample.

    Raises
    ------
    DataError
        If the augmentation does not keep the physical values or the truth that the sample has.
    PluginError
        If the result is not a sample with as many channels.
    """
    _check_harmless(
        augmentation,
        sample.name,
        sample.unit,
        variance=sample.variance is not None,
        truth=[sample.label, sample.mask, sample.boxes],
    )
    augmented = augmentation(sample, rng)
    try:
        require_sample(augmented, len(sample.hr))
    except ContractError as error:
        kind = type(augmentation)
        owner = owner_of(kind.__module__) or kind.__module__
        raise PluginError(f"augmentation {kind.__name__} of {owner}: {error}") from error
    return augmented


def augment_batch(augmentation: BatchAugmentation, batch: Batch, rng: np.random.Generator) -> Batch:
    """Augment a degraded batch.

    Raises
    ------
    DataError
        As for :func:`augment_sample`, or if there is no LR, or too few images to be mixed.
    ContractError
        If the sizes of the images change.
    """
    _check_harmless(
        augmentation,
        batch.names[0],
        batch.unit,
        variance=batch.variance is not None,
        truth=[batch.labels, batch.masks, batch.boxes],
    )
    name = type(augmentation).__name__
    if batch.lr is None:
        raise DataError(
            f"{name} changes pairs of HR and LR, but a recipe without a generator has no LR; "
            "remove it from data.train.augment"
        )
    if len(batch) < augmentation.least_images:
        raise DataError(
            f"{name} mixes {augmentation.least_images} images, but each part of a step has "
            f"{len(batch)}; raise training.batch_size, lower training.accumulate, or remove it "
            "from data.train.augment"
        )
    augmented = augmentation(batch, rng)
    require_augmented(augmented, batch)
    return augmented


def _check_harmless(
    augmentation: Augmentation, name: str, unit: str, *, variance: bool, truth: Sequence[object]
) -> None:
    """Check that an augmentation keeps what is known of an image."""
    own = type(augmentation).__name__
    if not augmentation.keeps_flux and (unit or variance):
        values = f"in {unit}" if unit else "with a known noise"
        raise DataError(
            f"{own} does not keep physical values, but those of {name} are {values}; remove it "
            "from data.train.augment"
        )
    known = [what for what, each in zip(TRUTH, truth, strict=True) if each is not None]
    if not augmentation.keeps_truth and known:
        raise DataError(
            f"{own} changes what an image shows, but {name} has {' and '.join(known)}; remove it "
            "from data.train.augment, or use data without"
        )
