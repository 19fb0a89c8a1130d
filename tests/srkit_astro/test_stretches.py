from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from astropy.visualization import AsinhStretch
from srkit_astro.stretches import Asinh, Linear, Log, noise_of
from torch import Tensor

from srkit.testing import check_stretch

STRETCHES = [
    Linear(peak=7.0, offset=-1.0),
    Asinh(peak=7.0, softening=0.01),
    Log(peak=7.0, softening=0.01),
    Linear(peak="image", offset="image"),
    Asinh(peak="image", offset="image"),
    Log(peak="image", offset="image"),
    Asinh(peak="noise", offset="image", softening=3.0),
]


@pytest.fixture
def flux() -> Tensor:
    """A faint sky of both signs, and a source that is a thousand times brighter."""
    images = 0.02 * torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    images[:, :, 8, 8] = torch.tensor([[3.0], [20.0], [50.0]])
    return images


@pytest.mark.parametrize("stretch", STRETCHES, ids=lambda s: type(s).__name__)
def test_the_inverse_restores_the_flux(stretch: Linear, flux: Tensor) -> None:
    fitted = stretch.fit(flux)
    again = stretch.inverse(stretch(flux, fitted), fitted)
    assert ((again - flux).abs() <= 1e-6 * flux.abs().clamp(min=1)).all()


@pytest.mark.parametrize("stretch", STRETCHES, ids=lambda s: type(s).__name__)
def test_offset_and_peak_become_0_and_1(stretch: Linear, flux: Tensor) -> None:
    fitted = stretch.fit(flux)
    offset, peak = fitted.unbind(1)
    ends = torch.stack([offset, offset + peak], 1).view(3, 1, 1, 2)
    expected = torch.tensor([0.0, 1.0]).expand(3, 1, 1, 2)
    assert torch.allclose(stretch(ends, fitted), expected, atol=1e-6)


@pytest.mark.parametrize("stretch", STRETCHES, ids=lambda s: type(s).__name__)
def test_stretches_are_strictly_increasing(stretch: Linear, flux: Tensor) -> None:
    fitted = stretch.fit(flux)
    values = torch.linspace(-30, 90, 1001).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    assert (stretch(values, fitted).diff() > 0).all()


def test_asinh_agrees_with_astropy(flux: Tensor) -> None:
    ours = Asinh(peak=50.0, softening=0.03)
    values = flux.clamp(min=0) / 50
    theirs = AsinhStretch(a=0.03)(values.numpy().astype(np.float64))
    assert np.allclose(ours(flux.clamp(min=0), ours.fit(flux)).numpy(), theirs, atol=1e-6)


def test_log_agrees_with_its_formula() -> None:
    stretch = Log(peak=2.0, softening=0.5)
    image = torch.tensor([[[[-3.0]]]])
    expected = -math.log(1 + 1.5 / 0.5) / math.log(1 + 1 / 0.5)
    assert stretch(image, stretch.fit(image)).item() == pytest.approx(expected)


def test_median_and_peak_of_each_image_are_measured(flux: Tensor) -> None:
    fitted = Linear(peak="image", offset="image").fit(flux)
    for image, (offset, peak) in zip(flux, fitted.tolist(), strict=True):
        assert offset == pytest.approx(image.median().item())
        assert peak == pytest.approx(image.max().item() - image.median().item())


def test_the_peak_of_a_constant_image_cannot_be_measured() -> None:
    with pytest.raises(
        ValueError, match=r"^cannot measure the peak of an image without pixels above its offset$"
    ):
        Asinh(peak="image", offset="image").fit(torch.ones(2, 1, 4, 4))


@pytest.mark.parametrize(
    ("stretch", "unitless"),
    [
        (Asinh(peak="noise", offset="image"), True),
        (Asinh(peak="noise"), True),
        (Linear(peak="image"), True),
        (Asinh(peak="noise", offset=0.1), False),
        (Asinh(peak=3.0, offset="image"), False),
    ],
)
def test_measured_stretches_do_not_depend_on_the_unit(
    stretch: Linear, unitless: bool, flux: Tensor
) -> None:
    seen, other = (stretch(each, stretch.fit(each)) for each in (flux, 300 * flux))
    assert stretch.unitless is unitless
    assert torch.allclose(seen, other, atol=1e-5) is unitless


def test_unitless_stretches_pass_the_contract() -> None:
    check_stretch(Asinh(peak="noise", offset="image", softening=3.0))
    wrong = Asinh(peak=3.0)
    wrong.unitless = True
    with pytest.raises(AssertionError, match=r"a unitless stretch must have the same result in"):
        check_stretch(wrong)


def test_noise_is_measured_beneath_a_galaxy() -> None:
    generator = torch.Generator().manual_seed(0)
    r = torch.hypot(*torch.meshgrid(*2 * [torch.linspace(-1, 1, 256)], indexing="ij"))
    galaxy = 50 * torch.exp(-4 * r)
    sigma = torch.tensor([0.02, 3.0]).view(2, 1, 1, 1)
    images = galaxy + sigma * torch.randn(2, 1, 256, 256, generator=generator)
    assert noise_of(images).tolist() == pytest.approx([0.02, 3.0], rel=0.03)
    images[..., :170, :] = 7.0  # filled
    assert noise_of(images).tolist() == pytest.approx([0.02, 3.0], rel=0.05)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 1, 1, 8), (2, 3, 1, 1)])
def test_without_detail_the_noise_is_the_rounding_error(shape: tuple[int, ...]) -> None:
    """So that SR of a constant image is that constant in any unit."""
    images = torch.full(shape, 4e-12)
    images[1] = 0
    assert noise_of(images).tolist() == pytest.approx([4e-12 * 2**-24, 1e-30])
    parts = Linear(peak="noise").fit_parts(lambda: iter([images, images]))
    assert parts[:, 1].tolist() == pytest.approx([4e-12 * 2**-24, 1e-30])
