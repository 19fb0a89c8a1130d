"""Noise of a camera, compared with its formula, GalSim and lenstronomy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from srkit_astro.instruments.noise import CameraNoise, lr_variance

SIDE = 500
CAMERA = {"exposure": 1200, "gain": 2.5, "read_noise": 4.5, "reads": 6, "sky": 0.4}


def add_noise(lr: torch.Tensor, camera: dict[str, Any], seeds: list[int]) -> torch.Tensor:
    noise = CameraNoise.model_validate(camera)
    sources = [torch.Generator().manual_seed(seed) for seed in seeds]
    return noise.draw(sources, 0.168).add_noise(lr, seeds)


def flat(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, SIDE, SIDE)


@pytest.mark.parametrize("level", [-0.1, 0.0, 0.002, 3.0])
@pytest.mark.parametrize(
    "camera",
    [
        CAMERA,
        {"exposure": 1},
        {"exposure": 100, "read_noise": 20},
        {"exposure": 300, "sky_magnitude": 20, "zero_point": 27},
    ],
)
def test_mean_and_variance_agree_with_the_formula(camera: dict[str, Any], level: float) -> None:
    noise = CameraNoise.model_validate(camera)
    lr = flat(level)
    noisy = add_noise(lr, camera, [3])
    expected = lr_variance(lr, noise, 0.168)[0, 0, 0, 0].item()
    sky = 0.168**2 * 10 ** (-0.4 * (20 - 27)) if "zero_point" in camera else noise.sky or 0.0
    electrons = noise.gain * noise.exposure
    counted = max(electrons * (level + sky), 0)
    by_hand = (counted + noise.reads * noise.read_noise**2) / electrons**2
    assert expected == pytest.approx(by_hand, rel=1e-6)
    pixels = SIDE**2
    found = (noisy - lr).double()
    assert found.mean().item() == pytest.approx(0, abs=4 * (expected / pixels) ** 0.5)
    # The sample variance of a Poisson variable with few counts has a larger scatter.
    scatter = ((2 + 1 / max(counted, 1e-9)) / pixels) ** 0.5 if counted else 1e-9
    if noise.read_noise:
        scatter = max(scatter, (2 / pixels) ** 0.5)
    assert found.var().item() == pytest.approx(expected, rel=4 * scatter, abs=1e-12)


def test_variance_agrees_with_galsim() -> None:
    galsim = pytest.importorskip("galsim")
    # GalSim counts in ADU: one of our units, over the whole exposure.
    noise = CameraNoise.model_validate({**CAMERA, "reads": 1})
    theirs = galsim.CCDNoise(sky_level=0.4 * 1200, gain=2.5, read_noise=4.5).getVariance()
    assert lr_variance(torch.zeros(1, 1, 1, 1), noise, 0.2).item() == pytest.approx(
        theirs / 1200**2, rel=1e-6
    )


def test_variance_agrees_with_lenstronomy() -> None:
    data_util = pytest.importorskip("lenstronomy.Util.data_util")
    noise = CameraNoise.model_validate(
        {
            "exposure": 1200,
            "read_noise": 4.5,
            "reads": 6,
            "sky_magnitude": 19.9,
            "zero_point": 27,
        }
    )
    deviation = data_util.bkg_noise(
        readout_noise=4.5,
        exposure_time=200,
        sky_brightness=data_util.magnitude2cps(19.9, 27),
        pixel_scale=0.168,
        num_exposures=6,
    )
    found = lr_variance(torch.zeros(1, 1, 1, 1), noise, 0.168).sqrt().item()
    assert found == pytest.approx(deviation, rel=1e-6)


def test_noise_depends_on_the_seed_of_the_sample_alone() -> None:
    lr = flat(1.0, 1.0)
    both = add_noise(lr, CAMERA, [1, 2])
    assert not torch.equal(both[0], both[1])
    assert torch.equal(both[1:], add_noise(lr[1:], CAMERA, [2]))


def test_conditions_are_drawn_for_each_sample() -> None:
    camera = {**CAMERA, "exposure": [100, 10_000]}
    noise = CameraNoise.model_validate(camera)
    lr = flat(1.0, 1.0)
    variance = lr_variance(lr, noise, 0.168, seeds=[1, 2])
    assert variance[0, 0, 0, 0] != variance[1, 0, 0, 0]
    found = (add_noise(lr, camera, [1, 2]) - lr).double().var((1, 2, 3))
    assert torch.allclose(found, variance[:, 0, 0, 0].double(), rtol=0.02)
    with pytest.raises(ValueError) as caught:
        lr_variance(lr, noise, 0.168)
    assert str(caught.value) == (
        "the noise has ranges; its variance depends on the seeds of the samples"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sky_magnitude": 20, "zero_point": 27},
            "'sky' and 'sky_magnitude' cannot be combined; remove one",
        ),
        ({"zero_point": 27}, "'sky_magnitude' and 'zero_point' must be set together"),
        ({"exposure": 0}, "Input should be greater than 0"),
        ({"read_noise": -1}, "Input should be greater than or equal to 0"),
        ({"exposure": True}, "got True; expected a number"),
        ({"sky": [2, 1]}, "got [2.0, 1.0]; expected the lower end of the range first"),
    ],
)
def test_invalid_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CameraNoise.model_validate({**CAMERA, **changes})
    found = [error["msg"].removeprefix("Value error, ") for error in caught.value.errors()]
    assert message in found
