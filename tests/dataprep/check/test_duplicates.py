from __future__ import annotations

import numpy as np

from srkit.dataprep.check.duplicates import similar, similar_hashes
from srkit.dataprep.check.measurements import Measurements

RNG = np.random.default_rng(0)


def test_similar_hashes_are_those_of_comparing_all() -> None:
    """Few bits vary, so that many of the hashes are similar."""
    hashes = RNG.integers(2**64, size=300, dtype=np.uint64)
    for i in range(100):
        flips = RNG.choice(64, RNG.integers(1, 6), replace=False)
        hashes[i] = hashes[i + 100] ^ np.uint64(sum(1 << int(bit) for bit in flips))
    expected = {
        (i, j)
        for i in range(300)
        for j in range(i + 1, 300)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 3
    }
    found = list(similar_hashes(hashes))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert 20 < len(expected) < 100


def test_groups_are_joined_through_others() -> None:
    """Of the hashes 0, 7 and 63 the first and the last differ in 6 bits."""
    grey = RNG.normal(size=(32, 32)).astype(np.float32)
    grey /= grey.std()
    images = [
        Measurements(f"{i}.png", (8, 8), 3, digest=bytes([i]), hash=hashed, grey=grey)
        for i, hashed in enumerate([0, 2**40 - 1, 63, 2**41 - 1, 7])
    ]
    assert similar(images) == [[0, 2, 4], [1, 3]]
