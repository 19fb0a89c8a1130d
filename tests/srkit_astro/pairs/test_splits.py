from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from srkit_astro.pairs.splits import hash_fraction, split_of

NAMES = [f"lens_{number}" for number in range(4000)]
FRACTIONS = (0.7, 0.2, 0.1)


def test_hash_fractions_are_uniform_independent_and_fixed() -> None:
    split, fold = (
        np.array([hash_fraction(name, what) for name in NAMES]) for what in ("split", "fold")
    )
    assert np.histogram(split, 10, (0, 1))[0] == pytest.approx(np.full(10, 400), abs=80)
    assert abs(np.corrcoef(split, fold)[0, 1]) < 0.05
    digest = blake2b(b"split/lens_0", digest_size=8).hexdigest()
    assert hash_fraction("lens_0", "split") == pytest.approx(int(digest, 16) / 2**64, abs=1e-15)


def test_splits_have_the_given_fractions() -> None:
    splits = [split_of(name, FRACTIONS) for name in NAMES]
    found = [splits.count(split) / len(NAMES) for split in ("train", "validation", "test")]
    assert found == pytest.approx(FRACTIONS, abs=0.02)


def test_folds_divide_what_is_not_for_testing() -> None:
    by_fold = [[split_of(name, FRACTIONS, 5, fold) for name in NAMES] for fold in range(5)]
    for name, splits in zip(NAMES, zip(*by_fold, strict=True), strict=True):
        if split_of(name, FRACTIONS) == "test":
            assert set(splits) == {"test"}
        else:
            assert sorted(splits) == ["train"] * 4 + ["validation"]
    sizes = [splits.count("validation") for splits in by_fold]
    assert sizes == pytest.approx([len(NAMES) * 0.9 / 5] * 5, abs=100)


def test_fractions_may_be_zero() -> None:
    assert {split_of(name, (1.0, 0.0, 0.0)) for name in NAMES} == {"train"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ((0.5, 0.2, 0.2),),
            "fractions are 0.5, 0.2, 0.2; expected fractions of train, validation and test with a "
            "sum of 1",
        ),
        ((FRACTIONS, 5, 5), "fold is 5; expected 0 to 4 for 5 folds"),
        ((FRACTIONS, 5, None), "folds and fold must be set together"),
    ],
)
def test_invalid_options_are_refused(arguments: tuple, message: str) -> None:
    for name in ("", *NAMES[:50]):
        with pytest.raises(ValueError) as caught:
            split_of(name, *arguments)
        assert str(caught.value) == message
