"""The mean over flips and rotations, compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from srkit.functional._self_ensemble import TRANSFORMS, self_ensemble, transform, undo

LR = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))


def lopsided() -> nn.Sequential:
    """Return a network whose output on mirrored images is not the mirrored output."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2))


def test_equals_the_mean_of_eight_separate_outputs() -> None:
    network = lopsided()
    answers = []
    for plane in (LR.numpy(), LR.numpy().transpose(0, 1, 3, 2)):  # NumPy's own eight symmetries
        for turns in range(4):
            turned = torch.from_numpy(np.rot90(plane, turns, (2, 3)).copy())
            with torch.no_grad():
                sr = np.rot90(network(turned).numpy(), -turns, (2, 3))
            answers.append(sr if plane.shape[2] == 5 else sr.transpose(0, 1, 3, 2))
    mean, variance = self_ensemble(network, LR)
    assert mean.shape == variance.shape == (2, 3, 10, 14)
    np.testing.assert_allclose(mean, np.mean(answers, 0), atol=1e-6)
    np.testing.assert_allclose(variance, np.var(answers, 0, ddof=1), atol=1e-7)
    assert variance.max() > 1e-4


def test_an_equivariant_network_has_no_variance() -> None:
    mean, variance = self_ensemble(lambda lr: nn.functional.interpolate(lr, scale_factor=3.0), LR)
    torch.testing.assert_close(mean, nn.functional.interpolate(LR, scale_factor=3.0))
    assert variance.max() < 1e-13


def test_a_small_variance_about_a_large_mean_is_not_lost() -> None:
    answers = iter(1000 + 1e-2 * torch.arange(8.0))
    _, variance = self_ensemble(lambda lr: next(answers).expand(lr.shape), LR)
    assert variance.flatten()[0].item() == pytest.approx(6e-4, rel=0.02)


def test_half_precision_is_averaged_in_float32() -> None:
    mean, variance = self_ensemble(lambda lr: lr.bfloat16(), LR)
    assert mean.dtype == variance.dtype == torch.float32


def test_no_gradient_is_recorded() -> None:
    def network(lr: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return lr

    self_ensemble(network, LR.clone().requires_grad_())


def test_the_eight_transforms_are_inverted() -> None:
    square = torch.arange(9.0).view(1, 1, 3, 3)
    assert len({tuple(transform(square, *how).flatten().tolist()) for how in TRANSFORMS}) == 8
    for how in TRANSFORMS:
        assert torch.equal(undo(transform(LR, *how), *how), LR)
