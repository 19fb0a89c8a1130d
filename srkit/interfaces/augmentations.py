"""Random changes of the samples and batches of training data."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from srkit.interfaces.samples import Batch, Sample


class SampleAugmentation(Protocol):
    """A random change of one sample, before its HR is degraded.

    It changes the LR of a real pair in the same way, so that both stay aligned. It is pickled for
    worker processes.

    Attributes
    ----------
    keeps_flux
        Whether pixels keep their physical values and noise. Otherwise data with a unit or a
        variance are refused.
    keeps_truth
        Whether labels, masks and boxes still describe the image, because the augmentation does not
        affect or also changes them. Otherwise data that have them are refused.
    """

    keeps_flux: bool
    keeps_truth: bool

    def __call__(self, sample: Sample, rng: np.random.Generator, /) -> Sample:
        """Return a changed sample; `rng` is a function of seed, epoch and index of the sample."""
        ...


@runtime_checkable
class BatchAugmentation(Protocol):
    """A random change of the pairs of HR and LR of a batch, on their device.

    Sizes stay the same, and HR and LR stay aligned.

    Attributes
    ----------
    keeps_flux, keeps_truth
        As for :class:`SampleAugmentation`.
    least_images
        How many images a batch must have: 2 if the augmentation mixes images, otherwise 1.
    """

    keeps_flux: bool
    keeps_truth: bool
    least_images: int

    def __call__(self, batch: Batch, rng: np.random.Generator, /) -> Batch:
        """Return a changed batch; `rng` is a function of the seeds of its samples."""
        ...


Augmentation = SampleAugmentation | BatchAugmentation
