"""A cache of simulated samples."""

from __future__ import annotations

from collections.abc import Callable

from srkit.interfaces import Sample

#: Bytes that a data set caches in each process: 2,700 pairs of 64 and 128 pixels.
LIMIT = 256 * 2**20


class SampleCache:
    """Samples by index, up to a limit of memory.

    Samples are never evicted. If an epoch exceeds the cache, and each has another order, the cached
    part is therefore found in every epoch; the least recently used would mostly be evicted before
    they are needed again.

    Parameters
    ----------
    limit
        Size of the cached images in bytes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.free = limit
        self._samples: dict[int, Sample] = {}

    def get(self, index: int, simulate: Callable[[int], Sample]) -> Sample:
        """Return a sample from the cache, or simulate and cache it. Images are not copied."""
        if index in self._samples:
            return self._samples[index]
        sample = simulate(index)
        images = (sample.hr, sample.lr, sample.variance, sample.mask)
        size = sum(image.nbytes for image in images if image is not None)
        if size <= self.free:
            self.free -= size
            self._samples[index] = sample
        return sample
