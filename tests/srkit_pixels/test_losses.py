from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from gradients import check_gradient
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity
from srkit_pixels import losses

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.interfaces import Batch


def batch(hr: torch.Tensor, data_range: tuple[float, float] = (0.0, 1.0)) -> Batch:
    names = [str(i) for i in range(len(hr))]
    return Batch(names=names, hr=hr, seeds=range(len(hr)), data_range=data_range)


def images(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 24, 30, generator=torch.Generator().manual_seed(seed))


def test_losses_are_registered(registry: Registry) -> None:
    assert {"l1", "mse", "charbonnier"} <= set(registry.names("losses"))


def test_losses_equal_torch() -> None:
    sr, hr = images(0), images(1)
    expected = torch.nn.functional.l1_loss(sr, hr)
    torch.testing.assert_close(losses.L1()(sr, batch(hr)), expected)
    expected = torch.nn.functional.mse_loss(sr, hr)
    torch.testing.assert_close(losses.MSE()(sr, batch(hr)), expected)


def test_charbonnier_agrees_with_its_formula() -> None:
    loss = losses.Charbonnier(epsilon=4.0)
    assert loss(torch.full((1, 1, 2, 2), 3.0), batch(torch.zeros(1, 1, 2, 2))).item() == 5
    small = losses.Charbonnier()(images(0), batch(images(0)))
    assert small.item() == pytest.approx(1e-3)


def ms_ssim_of(sr: np.ndarray, hr: np.ndarray) -> float:
    """Zhao et al. 2017, equations 7 to 14, with zero padding."""
    offsets = np.arange(-16, 17)

    def mean(values: np.ndarray, sigma: float) -> np.ndarray:
        window = np.exp(-(offsets**2) / (2 * sigma**2))
        window /= window.sum()
        rows = correlate1d(values, window, axis=-2, mode="constant")
        return correlate1d(rows, window, axis=-1, mode="constant")

    product = np.ones_like(sr)
    for sigma in (0.5, 1.0, 2.0, 4.0, 8.0):
        x, y = mean(sr, sigma), mean(hr, sigma)
        covariance = mean(sr * hr, sigma) - x * y
        variances = mean(sr * sr, sigma) - x * x + mean(hr * hr, sigma) - y * y
        product *= (2 * covariance + 0.03**2) / (variances + 0.03**2)
    product *= (2 * x * y + 0.01**2) / (x * x + y * y + 0.01**2)
    return float((0.84 * (1 - product) + 0.16 * mean(abs(sr - hr), 8.0)).mean())


def ssim_of(sr: np.ndarray, hr: np.ndarray) -> float:
    """By scikit-image; the window of the authors lies within the image."""
    similar = partial(
        structural_similarity,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        full=True,
    )
    pairs = zip(*(z.reshape(-1, *z.shape[2:]) for z in (sr, hr)), strict=True)
    return 1 - float(np.mean([similar(x, y)[1][5:-5, 5:-5] for x, y in pairs]))


def charbonnier_of(sr: np.ndarray, hr: np.ndarray) -> float:
    return float(np.sqrt((sr - hr) ** 2 + 1e-6).mean())


def variation_of(sr: np.ndarray, hr: np.ndarray) -> float:
    return float(abs(np.diff(sr, axis=-1)).mean() + abs(np.diff(sr, axis=-2)).mean())


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (losses.L1(), lambda sr, hr: abs(sr - hr).mean()),
        (losses.MSE(), lambda sr, hr: ((sr - hr) ** 2).mean()),
        (losses.Charbonnier(), charbonnier_of),
        (losses.SSIM(), ssim_of),
        (losses.MSSSIM(), ms_ssim_of),
        (losses.TotalVariation(), variation_of),
    ],
    ids=lambda each: type(each).__name__,
)
def test_values_and_gradients_equal_independent_computations(
    loss: Callable[..., torch.Tensor], reference: Callable[[np.ndarray, np.ndarray], float]
) -> None:
    hr = images(1).double().numpy()
    check_gradient(lambda sr: loss(sr, batch(images(1))), lambda sr: reference(sr, hr), images(0))


@pytest.mark.parametrize("loss", [losses.SSIM(), losses.MSSSIM()])
def test_structural_similarity_is_in_units_of_the_data_range(
    loss: Callable[..., torch.Tensor],
) -> None:
    found = loss(images(0) * 200 - 100, batch(images(1) * 200 - 100, (-100, 100)))
    torch.testing.assert_close(found, loss(images(0), batch(images(1))), atol=1e-5, rtol=0)


def test_total_variation_agrees_with_its_definition() -> None:
    sr = torch.tensor([[[[0.0, 1.0, 3.0], [4.0, 4.0, 4.0]]]])
    down, across = (4 + 3 + 1) / 3, (1 + 2 + 0 + 0) / 4
    found = losses.TotalVariation()(sr, batch(torch.zeros(1, 1, 2, 3)))
    assert found.item() == pytest.approx(down + across)


LOG_VARIANCE = (images(2) - 3).requires_grad_()


def test_the_gaussian_likelihood_agrees_with_torch() -> None:
    sr, hr = images(0), images(1)
    variance = LOG_VARIANCE.detach().exp()
    expected = torch.nn.functional.gaussian_nll_loss(sr, hr, variance)
    found = losses.GaussianNLL()(sr, LOG_VARIANCE.detach(), batch(hr))
    torch.testing.assert_close(found, expected)


def test_beta_weights_pixels_by_a_power_of_the_variance() -> None:
    """The gradients are those of equations 7 and 8 of Seitzer et al. 2022."""
    sr, hr = images(0).requires_grad_(), images(1)
    loss = losses.GaussianNLL(beta=0.5)(sr, LOG_VARIANCE, batch(hr))
    of_mean, of_variance = torch.autograd.grad(loss, (sr, LOG_VARIANCE))
    variance, difference = LOG_VARIANCE.detach().exp(), (sr - hr).detach()
    torch.testing.assert_close(of_mean, difference / variance.sqrt() / hr.numel())
    # The derivative by the variance, times the derivative of the variance by its logarithm.
    expected = (variance - difference**2) / (2 * variance**1.5) * variance / hr.numel()
    torch.testing.assert_close(of_variance, expected)


def test_beta_of_1_trains_sr_like_the_squared_error() -> None:
    sr, hr = images(0).requires_grad_(), images(1)
    (found,) = torch.autograd.grad(losses.GaussianNLL(beta=1)(sr, LOG_VARIANCE, batch(hr)), sr)
    (expected,) = torch.autograd.grad(losses.MSE()(sr, batch(hr)), sr)
    torch.testing.assert_close(found, expected / 2)


OF_TWO = ["charbonnier", "edge", "fft", "focal_frequency", "l1", "ms_ssim", "mse", "ssim"]


@pytest.mark.parametrize("name", [*OF_TWO, "total_variation"])
def test_losses_are_computed_in_float32(registry: Registry, name: str) -> None:
    loss = build(registry.get("losses", name).factory, {}, channels=3)
    sr = images(0).bfloat16().requires_grad_()
    value = loss(sr, batch(images(1)))
    assert value.dtype == torch.float32
    assert value.shape == ()
    value.backward()
    assert sr.grad is not None
    assert sr.grad.isfinite().all()


@pytest.mark.parametrize("name", OF_TWO)
def test_losses_refuse_images_of_different_shapes(registry: Registry, name: str) -> None:
    loss = build(registry.get("losses", name).factory, {}, channels=3)
    with pytest.raises(ValueError, match=r"^SR has the shape 2 x 3 x 12 x 30 and HR 2 x 3 x 24 "):
        loss(images(0)[..., :12, :], batch(images(1)))


def test_losses_on_luma_ignore_chroma() -> None:
    sr, hr = torch.rand(2, 3, 5, 6), torch.rand(2, 3, 5, 6)
    weights = torch.tensor([65.481, 128.553, 24.966]).view(3, 1, 1) / 255
    d = ((sr - hr) * weights).sum(1)
    torch.testing.assert_close(losses.L1(channel="y")(sr, batch(hr)), d.abs().mean())
    torch.testing.assert_close(losses.MSE(channel="y")(sr, batch(hr)), d.square().mean())
    with pytest.raises(ValueError, match=r"^channel 'y' needs RGB images; got 1 channels$"):
        losses.MSE(channels=1, channel="y")
