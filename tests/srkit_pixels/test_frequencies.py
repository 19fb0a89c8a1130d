from __future__ import annotations

import numpy as np
import pytest
import torch
from gradients import check_gradient
from srkit_pixels.frequencies import FFT, FocalFrequency

from srkit.interfaces import Batch


def images(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(seed))


def batch(hr: torch.Tensor) -> Batch:
    return Batch(names=["a", "b"], hr=hr, seeds=[0, 1])


def spectrum(values: np.ndarray) -> np.ndarray:
    return np.fft.fft2(values, norm="ortho")


ERROR = (images(0) - images(1)).double().numpy()


def test_fft_and_its_gradient_equal_numpy() -> None:
    hr = images(1).double().numpy()

    def reference(sr: np.ndarray) -> float:
        coefficients = spectrum(sr - hr)
        return float((abs(coefficients.real) + abs(coefficients.imag)).mean() / 2)

    check_gradient(lambda sr: FFT()(sr, batch(images(1))), reference, images(0))


def focal(error: np.ndarray, alpha: float) -> tuple[float, np.ndarray]:
    """Return the loss of one image and channel, and its gradient at constant weights.

    The mean of w |F d|^2 over n pixels has the gradient 2 F^-1(w F d) / n.
    """
    coefficients = spectrum(error)
    weights = abs(coefficients) ** alpha
    weights /= weights.max()
    slope = 2 * np.fft.ifft2(weights * coefficients, norm="ortho").real / error.size
    return float((weights * abs(coefficients) ** 2).mean()), slope


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_focal_frequency_and_its_gradient_equal_numpy(alpha: float) -> None:
    sr = images(0).requires_grad_()
    loss = FocalFrequency(alpha=alpha)(sr, batch(images(1)))
    (slope,) = torch.autograd.grad(loss, sr)
    terms = [focal(error, alpha) for error in ERROR.reshape(6, 12, 16)]
    assert loss.item() == pytest.approx(np.mean([value for value, _ in terms]), rel=1e-5)
    expected = np.stack([each for _, each in terms]).reshape(2, 3, 12, 16) / 6
    torch.testing.assert_close(slope.double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-8)


def test_focal_frequency_of_patches_is_the_mean_over_them() -> None:
    found = FocalFrequency(patches=2)(images(0), batch(images(1)))
    patches = ERROR.reshape(6, 2, 6, 2, 8).swapaxes(2, 3).reshape(24, 6, 8)
    assert found.item() == pytest.approx(np.mean([focal(each, 1)[0] for each in patches]), rel=1e-5)


def test_sides_that_cannot_be_divided_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        FocalFrequency(patches=5)(images(0), batch(images(1)))
    assert str(caught.value) == (
        "focal_frequency: 12 x 16 pixels cannot be divided into 5 x 5 patches"
    )
