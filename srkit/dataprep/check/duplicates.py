"""Groups of images that are identical or similar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from srkit.dataprep.check.measurements import Measurements

#: Similar images differ in at most so many bits of their hashes, and their small grey images have
#: at least this correlation.
MAX_BITS, MIN_CORRELATION = 3, 0.98

Groups = list[list[int]]


def identical(images: Sequence[Measurements]) -> Groups:
    """Group images whose values are all equal; flat images are skipped.

    Returns
    -------
    list of list of int
        Groups of at least two indices.
    """
    groups: dict[bytes, list[int]] = {}
    for index, image in enumerate(images):
        if not image.flat:
            groups.setdefault(image.digest, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def similar(images: Sequence[Measurements]) -> Groups:
    """Group photographs of the same content, whatever their size and compression.

    Of identical images only the first is included.

    Returns
    -------
    list of list of int
        Groups of at least two indices.
    """
    firsts: dict[bytes, int] = {}
    for index, image in enumerate(images):
        if image.hash is not None:
            firsts.setdefault(image.digest, index)
    indices = list(firsts.values())
    groups = DisjointSet()
    for pair in similar_hashes(np.array([images[i].hash for i in indices], dtype=np.uint64)):
        one, other = (indices[i] for i in pair)
        first, second = images[one].grey, images[other].grey
        assert first is not None
        assert second is not None
        if float((first * second).mean()) >= MIN_CORRELATION:
            groups.add(one)
            groups.add(other)
            groups.merge(one, other)
    return sorted(sorted(group) for group in groups.subsets())


def similar_hashes(hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> Iterator[tuple[int, int]]:
    """Find the pairs of hashes that differ in at most `MAX_BITS` bits.

    Of four parts of 16 bits, at least one is then equal, so only hashes that share a part are
    compared.
    """
    seen: set[tuple[int, int]] = set()
    for part in range(MAX_BITS + 1):
        keys = (hashes >> np.uint64(16 * part)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, edges):
            for position, one in enumerate(bucket[:-1]):
                others = bucket[position + 1 :]
                apart = np.bitwise_count(hashes[others] ^ hashes[one])
                for other in others[apart <= MAX_BITS]:
                    pair = (int(min(one, other)), int(max(one, other)))
                    if pair not in seen:
                        seen.add(pair)
                        yield pair
