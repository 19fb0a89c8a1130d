"""The head that predicts the variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from srkit.assembly.variance_head import FIRST_SIGMA, FLOOR, VarianceHead


def head(channels: int = 1, features: int = 8) -> VarianceHead:
    torch.manual_seed(0)
    return VarianceHead(channels=channels, features=features)


def test_an_untrained_head_predicts_the_same_everywhere() -> None:
    found = head(3)(torch.rand(2, 3, 5, 7), torch.rand(2, 3, 10, 14))
    assert found.shape == (2, 3, 10, 14)
    torch.testing.assert_close(found, torch.full_like(found, 2 * math.log(FIRST_SIGMA)), atol=1e-4,
                               rtol=0)  # fmt: skip


def test_no_gradient_reaches_the_generator() -> None:
    sr = torch.rand(1, 1, 8, 8, requires_grad=True)
    network = head()
    network(torch.rand(1, 1, 4, 4), sr).sum().backward()
    assert sr.grad is None
    assert network.tail.bias.grad is not None


def test_the_variance_has_a_lower_limit_and_a_gradient_there() -> None:
    network = head()
    with torch.no_grad():
        network.tail.bias.fill_(-100.0)
    found = network(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 8, 8))
    torch.testing.assert_close(found, torch.full_like(found, math.log(FLOOR)))
    with torch.no_grad():
        network.tail.bias.fill_(math.log(FLOOR))
    network(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 8, 8)).mean().backward()
    assert network.tail.bias.grad is not None
    assert network.tail.bias.grad.item() == pytest.approx(0.5)


def test_the_logarithm_is_not_rounded_to_bf16() -> None:
    network, images = head(), (torch.rand(1, 1, 4, 4), torch.rand(1, 1, 8, 8).bfloat16())
    with torch.no_grad():
        network.tail.bias.fill_(-8.765432)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(*images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.full_like(found, -8.765432), atol=1e-3, rtol=0)


def test_the_head_learns_where_errors_are_large() -> None:
    """The standard deviation of errors can be read from LR; the head learns it."""
    network = head(features=16)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    random = torch.Generator().manual_seed(3)

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        lr = torch.rand(8, 1, 1, 1, generator=random).expand(-1, -1, 6, 6)
        sigma = (0.01 + 0.2 * lr[:, :, :1, :1]).expand(-1, -1, 12, 12)
        return lr, sigma, sigma * torch.randn(8, 1, 12, 12, generator=random)

    for _ in range(150):
        lr, _, error = draw()
        found = network(lr, torch.zeros_like(error))
        (found + error.square() * (-found).exp()).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    lr, sigma, error = draw()
    found = (network(lr, torch.zeros_like(error)) / 2).exp().detach()
    inner = slice(4, -4)  # the border of zeros is another matter
    ratio = (found / sigma)[..., inner, inner]
    assert float(ratio.min()) > 0.8
    assert float(ratio.max()) < 1.25


class Constant(VarianceHead):
    """A head that predicts the standard deviation 1 for every pixel."""

    def uncorrected(self, lr: torch.Tensor, sr: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(sr)


def test_the_correction_calibrates_each_bin_of_signal_to_noise() -> None:
    """True errors grow with the signal: 1 for the sky, about 4 at a signal of 300."""
    network = Constant(channels=1, features=4).eval()
    random = np.random.default_rng(9)

    def draw(count: int) -> tuple[torch.Tensor, np.ndarray]:
        sr = np.where(random.random(count) < 0.8, random.normal(0, 1, count), 0)
        sr = np.where(sr == 0, np.exp(random.uniform(0, 6, count)), sr)
        error = random.normal(size=count) * np.sqrt(1 + 0.05 * np.abs(sr))
        return torch.from_numpy(sr).float().view(1, 1, 1, -1), np.abs(error)

    def covered(sr: torch.Tensor, error: np.ndarray) -> list[tuple[float, float]]:
        sigma = (network(sr, sr) / 2).exp().flatten().detach().numpy()
        inside, size = error <= sigma, sr.abs().flatten().numpy()
        bins = [(0, 1), (1, 3), (3, 10), (10, 30), (30, 100), (100, 300), (300, 1000)]
        found = []
        for low, high in bins:
            chosen = inside[(size >= low) & (size < high)]
            found.append((chosen.mean(), np.sqrt(0.6827 * 0.3173 / len(chosen))))
        return found

    test = draw(50_000)
    before = covered(*test)
    assert before[0][0] == pytest.approx(0.6827, abs=0.02)
    assert before[-1][0] < 0.25
    sr, error = draw(200_000)
    keys = network.key(sr, network.uncorrected(sr, sr)).flatten().numpy()
    network.fit_correction(keys, error)
    for share, counting in covered(*test):
        assert share == pytest.approx(0.6827, abs=4 * counting + 0.01)
    # The head is trained without the correction, and it is kept with the weights.
    assert torch.equal(network.train()(sr, sr), torch.zeros_like(sr))
    assert {"knots", "corrections"} <= network.state_dict().keys()


@pytest.mark.parametrize("count", [1, 30, 5000])
def test_few_or_equal_pixels_give_one_factor(count: int) -> None:
    network = Constant(channels=1, features=4).eval()
    network.fit_correction(np.zeros(count, np.float32), np.full(count, 2.0, np.float32))
    sr = torch.ones(1, 1, 3, 3)
    torch.testing.assert_close((network(sr, sr) / 2).exp(), 2 * sr)
