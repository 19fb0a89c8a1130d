"""Splits of a data set by a hash of names, so that adding a file does not move any other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

Split = Literal["train", "validation", "test"]


def hash_fraction(name: str, purpose: str) -> float:
    """Return a fixed number in [0, 1), uniform over names and independent between purposes."""
    text = f"{purpose}/{name}".encode("utf-8", "surrogateescape")
    digest = blake2b(text, digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def check_folds(folds: int | None, fold: int | None) -> None:
    """Check the number of folds, and which of them validates.

    Raises
    ------
    ValueError
        If only one is set, or there is no such fold.
    """
    if (folds is None) != (fold is None):
        raise ValueError("folds and fold must be set together")
    if folds is not None and fold is not None and not 0 <= fold < folds:
        raise ValueError(f"fold is {fold}; expected 0 to {folds - 1} for {folds} folds")


def split_of(
    name: str,
    fractions: Sequence[float],
    folds: int | None = None,
    fold: int | None = None,
) -> Split:
    """Return the split that a name belongs to.

    Parameters
    ----------
    name
        Name of the sample.
    fractions
        Expected fractions of train, validation and test, with a sum of 1.
    folds, fold
        Number of folds into which the names outside the test split are divided, and the index of
        the fold that validates; the others train. None uses the fractions.

    Raises
    ------
    ValueError
        If the sum of the fractions is not 1, or there is no such fold.
    """
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        given = ", ".join(f"{fraction:g}" for fraction in fractions)
        raise ValueError(
            f"fractions are {given}; expected fractions of train, validation and test with a sum "
            "of 1"
        )
    check_folds(folds, fold)
    train, _, test = fractions
    at = hash_fraction(name, "split")
    if at >= 1 - test:
        return "test"
    if folds is None or fold is None:
        return "train" if at < train else "validation"
    return "validation" if int(hash_fraction(name, "fold") * folds) == fold else "train"
