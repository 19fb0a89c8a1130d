"""Splits by name."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from srkit_astro.pairs.splits import part_of, place

NAMES = [f"lens_{number}" for number in range(4000)]
SHARES = (0.7, 0.2, 0.1)


def test_places_are_even_independent_and_for_ever() -> None:
    split, fold = (np.array([place(name, what) for name in NAMES]) for what in ("split", "fold"))
    assert np.histogram(split, 10, (0, 1))[0] == pytest.approx(np.full(10, 400), abs=80)
    assert abs(np.corrcoef(split, fold)[0, 1]) < 0.05
    digest = blake2b(b"split/lens_0", digest_size=8).hexdigest()
    assert place("lens_0", "split") == pytest.approx(int(digest, 16) / 2**64, abs=1e-15)


def test_shares() -> None:
    parts = [part_of(name, SHARES) for name in NAMES]
    found = [parts.count(part) / len(NAMES) for part in ("train", "validation", "test")]
    assert found == pytest.approx(SHARES, abs=0.02)


def test_folds_share_what_is_not_for_testing() -> None:
    by_fold = [[part_of(name, SHARES, 5, fold) for name in NAMES] for fold in range(5)]
    for name, parts in zip(NAMES, zip(*by_fold, strict=True), strict=True):
        if part_of(name, SHARES) == "test":
            assert set(parts) == {"test"}
        else:
            assert sorted(parts) == ["train"] * 4 + ["validation"]
    sizes = [parts.count("validation") for parts in by_fold]
    assert sizes == pytest.approx([len(NAMES) * 0.9 / 5] * 5, abs=100)


def test_a_share_of_nothing() -> None:
    assert {part_of(name, (1.0, 0.0, 0.0)) for name in NAMES} == {"train"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ((0.5, 0.2, 0.2),),
            "fractions are 0.5, 0.2, 0.2; expected shares of train, validation and test that add "
            "up to 1",
        ),
        ((SHARES, 5, 5), "fold is 5; expected 0 to 4 for 5 folds"),
        (
            (SHARES, 5, None),
            "folds and fold go together: how many, and which of them validates",
        ),
    ],
)
def test_wrong_options(arguments: tuple, message: str) -> None:
    for name in ("", *NAMES[:50]):
        with pytest.raises(ValueError) as caught:
            part_of(name, *arguments)
        assert str(caught.value) == message
