"""Exact medians of images that are larger than the memory, by counting (radix selection)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from srkit.functional.types import Values

#: Number of values that are counted at once.
AT_ONCE = 2**22
_BINS = 2**16
_SIGN = np.uint32(2**31)


def row_medians(parts: Callable[[], Iterable[Tensor]]) -> Tensor:
    """Compute the lower median of each row of a matrix that is read in parts.

    The first pass counts values by the upper half of their bits, whose order is that of the values.
    The second pass counts the values that share the upper half of the median. Values that are not
    finite are ignored.

    Parameters
    ----------
    parts
        Returns the parts, ``(K, n)`` float32; it is called twice.

    Returns
    -------
    Tensor
        ``(K,)`` float32, equal to ``row.median()`` of the finite values; 0 in a row without any.
    """
    upper = _count(parts, None)
    ranks = [(int(row.sum()) - 1) // 2 for row in upper]
    halves = np.array([_find(row, rank) for row, rank in zip(upper, ranks, strict=True)])
    below = [int(row[:half].sum()) for row, half in zip(upper, halves, strict=True)]
    lower = _count(parts, halves)
    keys = [
        np.uint32(half << 16 | _find(row, rank - less))
        for half, row, rank, less in zip(halves, lower, ranks, below, strict=True)
    ]
    found = [0.0 if rank < 0 else _value(key) for key, rank in zip(keys, ranks, strict=True)]
    return torch.tensor(found, dtype=torch.float32)


def _find(counts: Values, rank: int) -> int:
    """Return the bin that contains the value of a rank; the first if there are no values."""
    return int(np.searchsorted(counts.cumsum(), max(rank, 0), side="right")) % _BINS


def _count(parts: Callable[[], Iterable[Tensor]], halves: Values | None) -> Values:
    """Count values by the upper 16 bits of their keys, or by the lower 16 of those in `halves`."""
    counts: Values | None = None
    for part in parts():
        rows = part.detach().cpu().float().numpy()
        counts = np.zeros((len(rows), _BINS), np.int64) if counts is None else counts
        for index, row in enumerate(rows):
            for start in range(0, len(row), AT_ONCE):
                values = row[start : start + AT_ONCE]
                keys = _keys(values[np.isfinite(values)])
                if halves is None:
                    keys = keys >> 16
                else:
                    keys = keys[keys >> 16 == halves[index]] & (_BINS - 1)
                counts[index] += np.bincount(keys, minlength=_BINS)
    assert counts is not None
    return counts


def _keys(values: Values) -> Values:
    """Map floats to integers of the same order; all bits of negative ones are inverted."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(key: np.uint32) -> float:
    bits = key & ~_SIGN if key & _SIGN else ~key
    return float(np.array([bits], np.uint32).view(np.float32)[0])
