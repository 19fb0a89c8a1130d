"""SR with the standard deviation of each pixel, in flux."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from srkit_astro.constraints import Flux
from srkit_astro.stretches import Asinh
from srkit_generators.edsr import EDSR
from torch import Tensor
from torch.nn import functional as F

from srkit.assembly.restore import restore
from srkit.assembly.uncertainty import Estimate, estimate, sample_pixels
from srkit.assembly.variance_head import VarianceHead
from srkit.functional._self_ensemble import self_ensemble
from srkit.interfaces import Batch, Image
from srkit.interfaces.view import View
from srkit.models.open import Model
from srkit.upscaling.upscaler import ImageUpscaler

STRETCH = Asinh(peak=50.0, softening=0.1)


@pytest.fixture
def generator() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, channels=1, blocks=1, features=4).eval()


@pytest.fixture
def head() -> VarianceHead:
    torch.manual_seed(1)
    made = VarianceHead(channels=1, features=4)
    torch.nn.init.normal_(made.tail.weight, std=0.5)
    return made.eval()


@pytest.fixture
def batch() -> Batch:
    random = torch.Generator().manual_seed(2)
    hr = 20 * torch.rand(2, 1, 12, 16, generator=random)
    return Batch(["a", "b"], hr, [7, 8], lr=F.avg_pool2d(hr, 2), factor=0.5, pixel_scale=0.1)


def test_a_head_changes_nothing_in_sr(generator: EDSR, head: VarianceHead, batch: Batch) -> None:
    view = View.of(batch, STRETCH)
    with torch.no_grad():
        found = estimate(generator, view, head=head)
        seen = restore(generator, view)
        assert view.stretched.lr is not None
        sigma = (head(view.stretched.lr, seen) / 2).exp()
    torch.testing.assert_close(found.sr, view.to_flux(seen))
    # The slope of the inverse at SR, by small steps in double precision.
    step, middle = 1e-5, seen.double()
    rise = STRETCH.inverse(middle + step, view.fitted) - STRETCH.inverse(middle - step, view.fitted)
    torch.testing.assert_close(found.sigma, (sigma * rise / (2 * step)).float(), rtol=1e-4, atol=0)


def test_without_a_head_the_ensemble_spreads(generator: EDSR, batch: Batch) -> None:
    found = estimate(generator, View.of(batch))
    assert batch.lr is not None
    mean, variance = self_ensemble(generator, batch.lr)
    torch.testing.assert_close(found.sr, mean)
    torch.testing.assert_close(found.sigma, variance.sqrt())
    assert found.sigma.min() > 0


def test_standard_deviations_are_converted_to_flux_to_first_order(batch: Batch) -> None:
    """A small scatter of stretched images is the scatter in flux to first order."""
    view = View.of(batch, STRETCH)
    random = np.random.default_rng(0)
    seen = np.full((2, 1, 1, 1), 0.6)
    drawn = seen + 1e-3 * random.normal(size=(2, 1, 100, 100))
    flux = view.to_flux(torch.from_numpy(drawn))
    sigma = view.sigma_to_flux(torch.from_numpy(seen).float(), torch.full((2, 1, 1, 1), 1e-3))
    np.testing.assert_allclose(flux.std((1, 2, 3)), sigma.flatten(), rtol=0.02)


def test_a_constraint_moves_sr_only(generator: EDSR, head: VarianceHead, batch: Batch) -> None:
    with torch.no_grad():
        free = estimate(generator, View.of(batch), head=head)
        kept = estimate(generator, View.of(batch), Flux(), head)
    assert batch.lr is not None
    torch.testing.assert_close(F.avg_pool2d(kept.sr, 2), batch.lr)
    assert not torch.allclose(kept.sr, free.sr)
    torch.testing.assert_close(kept.sigma, free.sigma)


def test_sigma_is_resized_to_hr_like_sr(generator: EDSR, batch: Batch) -> None:
    hr = torch.rand(2, 1, 9, 9)
    lopsided = replace(batch, hr=hr, lr=torch.rand(2, 1, 6, 6), factor=0.6)
    found = estimate(generator, View.of(lopsided))
    assert found.sr.shape == found.sigma.shape == hr.shape
    assert not found.sigma.isnan().any()


@pytest.mark.parametrize("trained", [True, False])
def test_upscaling_and_evaluation_give_the_same_sigma(
    trained: bool, generator: EDSR, head: VarianceHead, batch: Batch
) -> None:
    """SR and its standard deviation are the same without HR."""
    predicted = head if trained else None
    upscale = ImageUpscaler(
        Model("a", generator, 2, 1, STRETCH, Flux(), head=predicted),
        self_ensemble=not trained,
        uncertainty=True,
        device="cpu",
    )
    with torch.no_grad():
        expected = estimate(generator, View.of(batch, STRETCH), Flux(), predicted)
    assert batch.lr is not None
    for lr, sr, sigma in zip(batch.lr, expected.sr, expected.sigma, strict=True):
        found = upscale(Image(lr))
        torch.testing.assert_close(found.pixels, sr)
        assert found.sigma is not None
        torch.testing.assert_close(found.sigma, sigma)


def test_pixels_are_chosen_by_seed(batch: Batch) -> None:
    sigma = torch.arange(float(batch.hr.numel())).view(batch.hr.shape)
    found = Estimate(batch.hr + 10 * sigma, sigma)
    chosen = sample_pixels(found, batch, 1, 50)
    assert chosen.shape == (3, 50)
    np.testing.assert_allclose(chosen[0], 10 * chosen[1], rtol=1e-4)
    hr = batch.hr.flatten().numpy()[chosen[1].astype(int)]
    np.testing.assert_allclose(chosen[2], hr + chosen[0], rtol=1e-4)
    assert len(set(chosen[1])) == 50
    assert chosen[1].min() >= 192  # of the second image
    np.testing.assert_array_equal(chosen, sample_pixels(found, batch, 1, 50))
    other = sample_pixels(found, replace(batch, seeds=[7, 9]), 1, 50)
    assert not np.array_equal(chosen, other)
    everything = sample_pixels(found, batch, 0, 10_000)
    assert sorted(everything[1]) == list(range(192))


def test_a_logarithm_of_the_variance_becomes_a_standard_deviation(head: VarianceHead) -> None:
    with torch.no_grad():
        head.tail.weight.zero_()
        head.tail.bias.fill_(2 * math.log(0.01))

    def generator(lr: Tensor) -> Tensor:
        return F.interpolate(lr, scale_factor=2.0)

    found = estimate(generator, View.of(Batch(["a"], torch.rand(1, 1, 4, 4), [0],
                                              lr=torch.rand(1, 1, 2, 2))), head=head)  # fmt: skip
    assert found.sigma.flatten()[0].item() == pytest.approx(0.01, rel=1e-3)
