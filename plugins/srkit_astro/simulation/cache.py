"""Samples that need not be simulated twice."""

from __future__ import annotations

from collections.abc import Callable

from srkit.interfaces import Sample

#: Bytes that a data set keeps in a process: 2,700 pairs of 64 and 128 pixels.
LIMIT = 256 * 2**20


class Memory:
    """Samples by index, kept until they fill their share of memory.

    What is kept stays: in passes over more than fits, each in another order, the part that fits is
    found every time, while the most recent would mostly be gone when their turn comes again.

    Parameters
    ----------
    limit
        Bytes of the images that are kept.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.free = limit
        self._samples: dict[int, Sample] = {}

    def sample(self, index: int, make: Callable[[int], Sample]) -> Sample:
        """Give a sample, made by `make` from its index unless it is here. Images are shared."""
        if index in self._samples:
            return self._samples[index]
        sample = make(index)
        images = (sample.hr, sample.lr, sample.variance, sample.mask)
        size = sum(image.nbytes for image in images if image is not None)
        if size <= self.free:
            self.free -= size
            self._samples[index] = sample
        return sample
