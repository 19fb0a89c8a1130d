"""Single degradations as used in recipes."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from draws_setup import uniform
from pydantic import ValidationError

from srkit.components.options import build, options, options_model
from srkit.components.problems import explain
from srkit.components.registry import Registry
from srkit.functional.resizing import resize

NAMES = ["downscale", "gaussian_blur", "gaussian_noise", "jpeg", "motion_blur", "poisson_noise"]
DRAWS = 10_000


def make(registry: Registry, name: str, **chosen: Any) -> Any:
    return build(registry.get("degradations", name).factory, chosen, scale=2, channels=3)


@pytest.fixture(scope="module")
def hr() -> torch.Tensor:
    return torch.rand(3, 3, 40, 46, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_documented_and_seeded(
    registry: Registry, name: str, hr: torch.Tensor
) -> None:
    component = registry.get("degradations", name)
    assert component.summary
    assert all(option.meaning for option in options(component.factory))
    degradation = make(registry, name)
    lr = degradation(hr, [1, 2, 3])
    assert torch.equal(degradation(hr.flip(0), [3, 2, 1]).flip(0), lr)
    assert not torch.equal(degradation(hr, [4, 5, 6]), lr)


def test_gaussian_blur_equals_scipy(registry: Registry, hr: torch.Tensor) -> None:
    blurred = make(registry, "gaussian_blur", sigma=[1.7, 1.7])(hr, [1, 2, 3])
    expected = scipy.ndimage.gaussian_filter(
        hr.numpy(), (0, 0, 1.7, 1.7), mode="mirror", radius=(0, 0, 7, 7)
    )
    np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-5)


def test_motion_blur_is_the_mean_of_a_moving_picture(registry: Registry, hr: torch.Tensor) -> None:
    blurred = make(registry, "motion_blur", length=[8.5, 8.5], angle=[30, 30])(hr, [1, 2, 3])
    path = 8.5 * ((np.arange(1000) + 0.5) / 1000 - 0.5)
    turn = math.radians(30)
    moved = [
        scipy.ndimage.shift(
            hr[0, 0].numpy(), (t * math.sin(turn), t * math.cos(turn)), order=1, mode="mirror"
        )
        for t in path
    ]
    np.testing.assert_allclose(blurred[0, 0].numpy(), np.mean(moved, 0), atol=2e-3)


@pytest.mark.parametrize("factor", [0.32, 0.5, 1.0])
def test_downscale_accepts_any_factor(registry: Registry, hr: torch.Tensor, factor: float) -> None:
    made = make(registry, "downscale", factor=factor, kernels=["lanczos"], antialias=False)
    assert made.factor == factor
    expected = resize(hr, factor=factor, kernel="lanczos", antialias=False)
    assert torch.equal(made(hr, [1, 2, 3]), expected)


@pytest.mark.parametrize(
    ("name", "chosen", "read", "low", "high"),
    [
        ("gaussian_blur", {}, lambda s: s.kernel.sigma[0], 0.2, 3.0),
        ("gaussian_blur", {"anisotropic": True}, lambda s: s.kernel.sigma[1], 0.2, 3.0),
        ("motion_blur", {}, lambda s: s.kernel.length, 0.0, 15.0),
        ("motion_blur", {"angle": [20, 50]}, lambda s: math.degrees(s.kernel.angle), 20, 50),
        ("gaussian_noise", {"sigma": [2, 5]}, lambda s: s.sigma, 2, 5),
        ("poisson_noise", {}, lambda s: s.strength, 0.05, 3.0),
    ],
)
def test_draws_are_uniform(
    registry: Registry, name: str, chosen: dict[str, Any], read: Any, low: float, high: float
) -> None:
    degradation = make(registry, name, **chosen)
    values = [read(degradation.programme(seed, (64, 64))[0]) for seed in range(DRAWS)]
    assert uniform(values, low, high)


def test_jpeg_draws_whole_qualities(registry: Registry) -> None:
    degradation = make(registry, "jpeg", quality=[40, 60])
    drawn = [degradation.programme(seed, (8, 8))[0].quality for seed in range(DRAWS)]
    counts = np.bincount(drawn)
    assert set(drawn) == set(range(40, 61))
    assert scipy.stats.chisquare(counts[40:]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "chosen", "problem"),
    [
        ("jpeg", {"quality": [95, 30]}, "quality: got [95, 30]; expected the lower number first"),
        (
            "jpeg",
            {"quality": [0, 30]},
            "quality.0: got 0; expected a number greater than or equal to 1",
        ),
        ("downscale", {"factor": 2}, "factor: got 2; expected a number less than or equal to 1"),
    ],
)
def test_bad_options(registry: Registry, name: str, chosen: dict[str, Any], problem: str) -> None:
    factory = registry.get("degradations", name).factory
    with pytest.raises(ValidationError) as raised:
        build(factory, chosen, scale=2, channels=3)
    assert explain(raised.value, "", options_model(factory)) == [problem]


def test_an_empty_list_of_kernels(registry: Registry) -> None:
    message = "kernels: empty; expected at least one kernel"
    with pytest.raises(ValueError, match=re.escape(message)):
        make(registry, "downscale", kernels=[])
