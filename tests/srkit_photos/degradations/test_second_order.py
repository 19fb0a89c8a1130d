"""The shares and ranges of Real-ESRGAN's options, over 10,000 draws."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import pytest
import scipy.stats
import torch
from draws_setup import near, uniform
from srkit_photos.degradations.second_order import SecondOrder
from srkit_photos.degradations.steps import (
    Blur,
    GaussianNoise,
    Jpeg,
    PoissonNoise,
    Quantise,
    Resize,
    Step,
)

DRAWS = 10_000
HR, LR = (256, 384), (64, 96)


@pytest.fixture(scope="module")
def drawn() -> list[list[Step]]:
    degradation = SecondOrder(scale=4, channels=3)
    return [list(degradation.programme(seed, HR)) for seed in range(DRAWS)]


def first(steps: list[Step]) -> tuple[Blur, Resize, Step, Jpeg]:
    return tuple(steps[:4])  # type: ignore[return-value]


def second(steps: list[Step]) -> tuple[Blur | None, Resize, Step]:
    rest = steps[4:]
    blur = rest.pop(0) if isinstance(rest[0], Blur) else None
    return blur, rest[0], rest[1]  # type: ignore[return-value]


def last(steps: list[Step]) -> list[Step]:
    return steps[4 + sum(part is not None for part in second(steps)) :]


@pytest.mark.parametrize(("number", "widest"), [(1, 3.0), (2, 1.5)])
def test_kernels(drawn: list[list[Step]], number: int, widest: float) -> None:
    blurs = [first(s)[0] if number == 1 else second(s)[0] for s in drawn]
    kernels = [blur.kernel for blur in blurs if blur is not None]
    assert len(kernels) == DRAWS if number == 1 else near(len(kernels), DRAWS, 0.8)
    shares = Counter((k.shape, k.sigma[0] != k.sigma[1]) for k in kernels)
    plain = [k for k in kernels if k.shape != "sinc"]
    assert near(shares["sinc", False], len(kernels), 0.1)
    for shape, round_share, directed_share in (
        ("gaussian", 0.45, 0.25),
        ("generalised", 0.12, 0.03),
        ("plateau", 0.12, 0.03),
    ):
        assert near(shares[shape, False], len(plain), round_share)  # type: ignore[index]
        assert near(shares[shape, True], len(plain), directed_share)  # type: ignore[index]
    assert uniform([k.sigma[0] for k in plain], 0.2, widest)
    directed = [k for k in plain if k.sigma[0] != k.sigma[1]]
    assert uniform([k.angle for k in directed], -math.pi, math.pi)
    sides = Counter(k.size for k in kernels)
    assert sorted(sides) == [7, 9, 11, 13, 15, 17, 19, 21]
    assert all(near(count, len(kernels), 1 / 8) for count in sides.values())
    for small in (True, False):
        low = math.pi / 3 if small else math.pi / 5
        cutoffs = [k.cutoff for k in kernels if k.shape == "sinc" and (k.size < 13) == small]
        assert uniform(cutoffs, low, math.pi)
    powers = [k.power for k in kernels if k.shape == "generalised"]
    assert near(sum(p < 1 for p in powers), len(powers), 0.5)
    assert uniform([p for p in powers if p < 1], 0.5, 1)
    assert uniform([p for p in powers if p > 1], 1, 4)
    plateaus = [k.power for k in kernels if k.shape == "plateau"]
    assert near(sum(p == 1 for p in plateaus), len(plateaus), 0.5)
    assert uniform([p for p in plateaus if p > 1], 1, 2)


@pytest.mark.parametrize(
    ("number", "shares", "ends"),
    [(1, (0.2, 0.7, 0.1), (0.15, 1.5)), (2, (0.3, 0.4, 0.3), (0.3, 1.2))],
)
def test_resizing(number: int, shares: tuple[float, ...], ends: tuple[float, float]) -> None:
    side = 4_000_000  # so large that rounding to whole pixels is negligible
    degradation = SecondOrder(scale=4, channels=3)
    drawn = [list(degradation.programme(seed, (side, side))) for seed in range(DRAWS)]
    resizes = [(first(s) if number == 1 else second(s))[1] for s in drawn]
    factors = [r.size[1] / (side if number == 1 else side / 4) for r in resizes]
    larger, smaller = [f for f in factors if f > 1], [f for f in factors if f < 1]
    assert near(len(larger), DRAWS, shares[0])
    assert near(len(smaller), DRAWS, shares[1])
    assert uniform(larger, 1, ends[1])
    assert uniform(smaller, ends[0], 1)
    interpolations = Counter(r.interpolation for r in resizes)
    assert sorted(interpolations) == ["area", "bicubic", "bilinear"]
    assert all(near(count, DRAWS, 1 / 3) for count in interpolations.values())


@pytest.mark.parametrize(("number", "sigma", "strength"), [(1, 30.0, 3.0), (2, 25.0, 2.5)])
def test_noise(drawn: list[list[Step]], number: int, sigma: float, strength: float) -> None:
    noises: list[Any] = [(first(s) if number == 1 else second(s))[2] for s in drawn]
    normal = [n for n in noises if isinstance(n, GaussianNoise)]
    counted = [n for n in noises if isinstance(n, PoissonNoise)]
    assert len(normal) + len(counted) == DRAWS
    assert near(len(normal), DRAWS, 0.5)
    assert uniform([n.sigma for n in normal], 1, sigma)
    assert uniform([n.strength for n in counted], 0.05, strength)
    assert near(sum(n.grey for n in normal), len(normal), 0.4)
    assert near(sum(n.grey for n in counted), len(counted), 0.4)
    assert len({n.seed for n in noises}) == DRAWS


def test_jpeg_and_the_end(drawn: list[list[Step]]) -> None:
    ends = [last(steps) for steps in drawn]
    for qualities in (
        [first(s)[3].quality for s in drawn],
        [part.quality for end in ends for part in end if isinstance(part, Jpeg)],
    ):
        assert len(qualities) == DRAWS
        counts = Counter(qualities)
        assert sorted(counts) == list(range(30, 96))
        assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3
    assert all(end[-1] == Quantise() for end in ends)
    jpeg_first = sum(isinstance(end[0], Jpeg) for end in ends)
    assert near(jpeg_first, DRAWS, 0.5)
    sincs = [part.kernel for end in ends for part in end if isinstance(part, Blur)]
    assert near(len(sincs), DRAWS, 0.8)
    assert {k.shape for k in sincs} == {"sinc"}
    assert uniform([k.cutoff for k in sincs], math.pi / 3, math.pi)
    assert all(part.size == LR for end in ends for part in end if isinstance(part, Resize))


def test_the_degradation_does_not_depend_on_the_place_in_the_batch() -> None:
    degradation = SecondOrder(scale=4, channels=3)
    hr = torch.rand(4, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    lr = degradation(hr, [1, 2, 3, 4])
    assert lr.shape == (4, 3, 12, 16)
    order = [2, 0, 3, 1]
    assert torch.equal(degradation(hr[order], [3, 1, 4, 2]), lr[order])
    assert torch.equal(lr, (lr * 255).round() / 255)
    assert not torch.equal(degradation(hr[:1], [9]), lr[:1])


def test_the_memory_layout_does_not_matter() -> None:
    degradation = SecondOrder(scale=4, channels=3)
    hr = torch.rand(3, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    turned = hr.to(memory_format=torch.channels_last)
    assert torch.equal(degradation(turned, [1, 2, 3]), degradation(hr, [1, 2, 3]))


def test_grey_pictures() -> None:
    lr = SecondOrder(scale=2, channels=1)(torch.rand(2, 1, 31, 40), [1, 2])
    assert lr.shape == (2, 1, 16, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 4}, "a JPEG file has 1 or 3 channels; these images have 4"),
        (
            {"resize_shares": (0.5, 0.4, 0.2)},
            "resize_shares: [0.5, 0.4, 0.2] add up to 1.1; expected 1",
        ),
        (
            {"resize_range2": (1.1, 1.2)},
            "resize_range2: got [1.1, 1.2]; expected a range that contains 1",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SecondOrder(**{"scale": 4, "channels": 3, **options})
