"""The shares and ranges of BSRGAN's code, over 10,000 draws."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats
import torch
from draws_setup import near, uniform
from srkit_photos.degradations.bsrgan import Bsrgan
from srkit_photos.degradations.steps import (
    Blur,
    GaussianNoise,
    Jpeg,
    Quantise,
    Resize,
    Step,
    Subsample,
)

DRAWS = 10_000
HR, LR = (256, 256), (64, 64)


@pytest.fixture(scope="module")
def drawn() -> list[list[Step]]:
    degradation = Bsrgan(scale=4, channels=3)
    return [list(degradation.programme(seed, HR)) for seed in range(DRAWS)]


def is_halved(steps: list[Step]) -> bool:
    head = steps[0]
    return isinstance(head, Resize) and head.size == (128, 128)


def own_blurs(steps: list[Step]) -> list[Blur]:
    """Return the blurs that are not part of a subsampling."""
    follows = [*steps[1:], None]
    return [
        step
        for step, after in zip(steps, follows, strict=True)
        if isinstance(step, Blur) and not isinstance(after, Subsample)
    ]


def test_steps(drawn: list[list[Step]]) -> None:
    assert near(sum(map(is_halved, drawn)), DRAWS, 0.25)
    assert all(len(own_blurs(steps)) == 2 for steps in drawn)
    assert all(steps[-1] == Quantise() and isinstance(steps[-2], Jpeg) for steps in drawn)
    jpegs = Counter(sum(isinstance(step, Jpeg) for step in steps) for steps in drawn)
    assert sorted(jpegs) == [1, 2]
    assert near(jpegs[2], DRAWS, 0.9)
    subsampled = sum(any(isinstance(s, Subsample) for s in steps) for steps in drawn)
    assert near(subsampled, DRAWS, 0.25)
    qualities = Counter(s.quality for steps in drawn for s in steps if isinstance(s, Jpeg))
    assert sorted(qualities) == list(range(30, 96))
    assert scipy.stats.chisquare(list(qualities.values())).pvalue > 1e-3


def test_the_order_is_random_except_for_downscaling(drawn: list[list[Step]]) -> None:
    whole = [s for s in drawn if not is_halved(s)]
    orders = Counter()  # type: ignore[var-annotated]
    for steps in whole:
        kinds = ["s" if isinstance(s, Resize) else type(s).__name__[0] for s in steps[:-2]]
        if len(kinds) == 6 and "S" not in kinds:
            orders["".join(kinds)] += 1
    # Two blurs and two downscalings among six steps: 6! / 2! / 2! equally likely orders.
    assert len(orders) == 180
    assert scipy.stats.chisquare(list(orders.values())).pvalue > 1e-3
    sizes = [[s.size for s in steps if isinstance(s, Resize)] for steps in drawn]
    assert all(found[-1] == LR for found in sizes)


def test_widths_and_noise(drawn: list[list[Step]]) -> None:
    whole = [s for s in drawn if not is_halved(s)]
    kernels = [blur.kernel for steps in whole for blur in own_blurs(steps)]
    round_ones = [k for k in kernels if k.sigma[0] == k.sigma[1]]
    directed = [k for k in kernels if k.sigma[0] != k.sigma[1]]
    assert near(len(directed), len(kernels), 0.5)
    assert uniform([k.sigma[0] for k in round_ones], 0, 2.8)
    assert uniform([k.sigma[0] ** 2 for k in directed], 0, 8)
    assert uniform([k.angle for k in directed], 0, math.pi)
    assert sorted({k.size for k in kernels}) == list(range(7, 26, 2))
    firsts = [next(s for s in steps if isinstance(s, Resize)) for steps in whole]
    shrunk = [r.size[0] for r in firsts if r.size != LR]
    factors = 256 / (np.array(shrunk) + np.random.default_rng(0).random(len(shrunk)))
    assert scipy.stats.kstest(factors, scipy.stats.uniform(1, 7).cdf).statistic < 0.03
    noises = [s for steps in drawn for s in steps if isinstance(s, GaussianNoise)]
    assert len(noises) == DRAWS
    levels = Counter(n.sigma for n in noises)
    assert sorted(levels) == list(range(2, 26))
    assert near(sum(n.grey for n in noises), DRAWS, 0.4)
    assert near(sum(n.mixture is not None for n in noises), DRAWS, 0.2)


def test_mixtures_have_no_eigenvalue_above_one(drawn: list[list[Step]]) -> None:
    mixtures = [
        s.mixture for steps in drawn for s in steps if isinstance(s, GaussianNoise) and s.mixture
    ]
    covariances = [np.array(m) @ np.array(m).T for m in mixtures[:500]]
    values = np.linalg.eigvalsh(covariances)
    assert scipy.stats.kstest(values.ravel(), "uniform").pvalue > 1e-3


def test_the_degradation_does_not_depend_on_the_place_in_the_batch() -> None:
    degradation = Bsrgan(scale=4, channels=3)
    hr = torch.rand(4, 3, 50, 64, generator=torch.Generator().manual_seed(0))
    lr = degradation(hr, [1, 2, 3, 4])
    assert lr.shape == (4, 3, 13, 16)
    order = [2, 0, 3, 1]
    assert torch.equal(degradation(hr[order], [3, 1, 4, 2]), lr[order])


def test_grey_pictures_at_another_scale() -> None:
    lr = Bsrgan(scale=3, channels=1)(torch.rand(2, 1, 31, 40), [1, 2])
    assert lr.shape == (2, 1, 11, 14)
