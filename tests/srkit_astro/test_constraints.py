from __future__ import annotations

import pytest
import torch
from srkit_astro.constraints import Flux
from srkit_astro.instruments.degradations import PsfNoise
from srkit_astro.instruments.psf import GaussianPsf
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Batch

PSF = GaussianPsf(type="gaussian", fwhm=0.3)


@pytest.fixture
def sky() -> Tensor:
    """Two galaxies of several HR pixels, far from the borders."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    first = 5 * torch.exp(-((x - 30) ** 2 + (y - 33) ** 2) / 18)
    second = 2 * torch.exp(-((x - 40.5) ** 2 + (y - 24.2) ** 2) / 32)
    return (first + second - 0.01)[None, None]


def batch_of(hr: Tensor, lr: Tensor) -> Batch:
    return Batch(["sky"], hr, [0], lr=lr, pixel_scale=0.1)


def test_the_flux_of_every_lr_pixel_is_restored(sky: Tensor) -> None:
    lr = F.avg_pool2d(sky, 2)
    wrong = 1.3 * sky + torch.randn(sky.shape, generator=torch.Generator().manual_seed(1))
    kept = Flux()(wrong, batch_of(sky, lr))
    assert torch.allclose(F.avg_pool2d(kept, 2), lr, atol=1e-5)
    # The distribution within an LR pixel is unchanged.
    within = kept - F.interpolate(F.avg_pool2d(kept, 2), scale_factor=2)
    given = wrong - F.interpolate(F.avg_pool2d(wrong, 2), scale_factor=2)
    assert torch.allclose(within, given, atol=1e-5)


def test_hr_itself_is_unchanged(sky: Tensor) -> None:
    telescope = PsfNoise(scale=2, psf=PSF, pixel_scale=0.1)
    batch = batch_of(sky, telescope(sky, [0]))
    assert torch.allclose(Flux(psf=PSF)(sky, batch), sky, atol=1e-5)


def test_back_projection_converges_and_conserves_the_total_flux(sky: Tensor) -> None:
    telescope = PsfNoise(scale=2, psf=PSF, pixel_scale=0.1)
    lr = telescope(sky, [0])
    batch, wrong = batch_of(sky, lr), 0.8 * sky
    residuals = []
    for steps in (1, 2, 4, 8):
        kept = Flux(psf=PSF, steps=steps)(wrong, batch)
        assert kept.mean().item() == pytest.approx(lr.mean().item(), rel=1e-4)
        residuals.append((telescope(kept, [0]) - lr).abs().max().item())
    assert sorted(residuals, reverse=True) == residuals
    assert residuals[-1] < 0.01 * lr.max().item()


def test_lr_that_hr_does_not_subdivide_is_refused(sky: Tensor) -> None:
    message = (
        "^HR of 64 x 64 pixels does not subdivide LR of 30 x 32 pixels; expected sides that are an "
        "integer times those of LR$"
    )
    with pytest.raises(ValueError, match=message):
        Flux()(sky, batch_of(sky, torch.zeros(1, 1, 30, 32)))
