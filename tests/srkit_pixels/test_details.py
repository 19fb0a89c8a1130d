from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gradients import check_gradient
from scipy.ndimage import correlate
from srkit_pixels.details import LDL, Consistency, Distillation, Edge

from srkit.interfaces import Batch, TrainedNetwork, View


def images(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(seed))


def view(hr: torch.Tensor, data_range: tuple[float, float] = (0.0, 1.0)) -> View:
    lr = torch.nn.functional.avg_pool2d(hr, 2)
    return View.of(Batch(names=["a", "b"], hr=hr, seeds=[0, 1], lr=lr, data_range=data_range))


SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
LAPLACIAN = np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]]) / 16


def sobel(error: np.ndarray) -> float:
    along = [correlate(error, kernel[None, None], mode="nearest") for kernel in (SOBEL, SOBEL.T)]
    return float(abs(np.stack(along)).mean())


def laplacian(error: np.ndarray) -> float:
    return float(abs(correlate(error, LAPLACIAN[None, None], mode="mirror")).mean())


@pytest.mark.parametrize(
    ("loss", "reference"), [(Edge(), sobel), (Edge(operator="laplacian"), laplacian)]
)
def test_edges_and_their_gradient_equal_scipy(
    loss: Edge, reference: Callable[[np.ndarray], float]
) -> None:
    hr = images(1).double().numpy()
    batch = view(images(1)).stretched
    check_gradient(lambda sr: loss(sr, batch), lambda sr: reference(sr - hr), images(0))


def ldl(sr: np.ndarray, hr: np.ndarray, averaged: np.ndarray) -> float:
    """The loss of the paper, with loops over the pixels."""
    total = 0.0
    for x, y, z in zip(sr, hr, averaged, strict=True):
        residual, of_average = abs(x - y).sum(0), abs(z - y).sum(0)
        padded = np.pad(residual, 3, mode="reflect")
        for row in range(residual.shape[0]):
            for column in range(residual.shape[1]):
                if residual[row, column] >= of_average[row, column]:
                    local = padded[row : row + 7, column : column + 7].var(ddof=1)
                    weight = residual.var(ddof=1) ** 0.2 * local
                    total += weight * residual[row, column]
    return total / sr.size


@pytest.mark.parametrize("span", [1.0, 50.0])
def test_ldl_and_its_gradient_agree_with_the_paper(span: float) -> None:
    sr, hr, averaged = (images(seed) for seed in range(3))
    given = replace(view(span * hr, (0.0, span)), average=lambda: span * averaged)
    start = (span * sr).requires_grad_()
    loss = LDL()(start, given)
    arrays = [each.double().numpy() for each in (sr, hr, averaged)]
    assert loss.item() == pytest.approx(ldl(*arrays), rel=1e-4)
    (slope,) = torch.autograd.grad(loss, start)
    step = np.zeros_like(arrays[0])
    step[1, 2, 5, 7] = 1e-6
    rise = ldl(arrays[0] + step, *arrays[1:]) - ldl(arrays[0] - step, *arrays[1:])
    assert slope[1, 2, 5, 7].item() == pytest.approx(rise / 2e-6 / span, rel=1e-3)


def test_ldl_is_0_where_the_average_is_worse() -> None:
    hr = images(1)
    sr = torch.lerp(hr, images(0), 0.1)
    loss = LDL()(sr, replace(view(hr), average=lambda: torch.lerp(hr, images(0), 0.2)))
    assert loss.item() == 0


def test_ldl_has_a_finite_gradient_at_hr() -> None:
    sr = images(1).requires_grad_()
    loss = LDL()(sr, replace(view(images(1)), average=lambda: images(1)))
    (slope,) = torch.autograd.grad(loss, sr)
    assert not slope.any()


def test_consistency_compares_lr_with_the_lr_of_sr() -> None:
    given = replace(view(images(1)), degrade=lambda sr: torch.nn.functional.avg_pool2d(sr, 2))
    sr = images(0).requires_grad_()
    loss = Consistency()(sr, given)
    error = (images(0) - images(1)).double().numpy().reshape(2, 3, 6, 2, 8, 2).mean((3, 5))
    assert loss.item() == pytest.approx(abs(error).mean(), rel=1e-5)
    (slope,) = torch.autograd.grad(loss, sr)
    expected = np.sign(error).repeat(2, -1).repeat(2, -2) / error.size / 4
    torch.testing.assert_close(slope.double(), torch.from_numpy(expected))


def test_distillation_compares_with_the_stretched_sr_of_a_network() -> None:
    """The network works in flux, and doubles HR; the stretch doubles the flux again."""

    class Doubled:
        unitless = False

        def fit(self, images: torch.Tensor) -> torch.Tensor:
            return images.new_empty(len(images), 0)

        def __call__(self, flux: torch.Tensor, fitted: torch.Tensor) -> torch.Tensor:
            return 2 * flux

        def inverse(self, stretched: torch.Tensor, fitted: torch.Tensor) -> torch.Tensor:
            return stretched / 2

    opened: list[Path] = []

    def open_network(path: Path) -> TrainedNetwork:
        opened.append(path)
        return TrainedNetwork("large", lambda batch: 2 * batch.hr)

    loss = Distillation(reference=Path("runs/large"), open_network=open_network)
    assert opened == [Path("runs/large")]
    hr, sr = images(1), images(0).requires_grad_()
    found = loss(sr, View.of(view(hr).flux, Doubled()))
    error = (sr.detach() - 4 * hr).double().numpy()
    assert found.item() == pytest.approx(abs(error).mean(), rel=1e-5)
    (slope,) = torch.autograd.grad(found, sr)
    torch.testing.assert_close(slope.double(), torch.from_numpy(np.sign(error) / error.size))
