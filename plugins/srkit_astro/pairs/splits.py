"""Which names train, validate and test: by a hash, so that adding a file moves no other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

Part = Literal["train", "validation", "test"]


def place(name: str, purpose: str) -> float:
    """Give a name its place in [0, 1): even over names, independent over purposes, for ever."""
    digest = blake2b(f"{purpose}/{name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def part_of(
    name: str,
    fractions: Sequence[float],
    folds: int | None = None,
    fold: int | None = None,
) -> Part:
    """Say which part of a data set a name belongs to.

    Parameters
    ----------
    name
        Of the sample.
    fractions
        Expected shares of train, validation and test; they add up to 1.
    folds, fold
        Of what is not for testing, the fold that validates, from 0, of how many; the other folds
        train. None goes by the fractions.

    Raises
    ------
    ValueError
        If the fractions do not add up to 1, or there is no such fold.
    """
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        shares = ", ".join(f"{share:g}" for share in fractions)
        raise ValueError(
            f"fractions are {shares}; expected shares of train, validation and test that add up "
            "to 1"
        )
    if (folds is None) != (fold is None):
        raise ValueError("folds and fold go together: how many, and which of them validates")
    if folds is not None and fold is not None and not 0 <= fold < folds:
        raise ValueError(f"fold is {fold}; expected 0 to {folds - 1} for {folds} folds")
    train, _, test = fractions
    at = place(name, "split")
    if at >= 1 - test:
        return "test"
    if folds is None or fold is None:
        return "train" if at < train else "validation"
    return "validation" if int(place(name, "fold") * folds) == fold else "train"
