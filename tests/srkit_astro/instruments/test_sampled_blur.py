"""Convolution and averaging in one step, compared with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, correlate
from srkit_astro.instruments.sampled_blur import SampledBlur


@pytest.mark.parametrize(("scale", "side"), [(1, 3), (2, 5), (3, 7), (2, 31), (4, 9)])
def test_it_and_its_transpose_are_those_of_scipy(scale: int, side: int) -> None:
    rng = np.random.default_rng(side)
    kernel = rng.random((side, side))  # without any symmetry
    hr, lr = rng.normal(size=(2, 3, 10 * scale, 13 * scale)), rng.normal(size=(2, 3, 10, 13))
    blur = SampledBlur(torch.from_numpy(kernel)[None], scale, (10, 13))

    blurred = convolve(hr, kernel[None, None], mode="reflect")
    expected = blurred.reshape(2, 3, 10, scale, 13, scale).mean((3, 5))
    np.testing.assert_allclose(blur(torch.from_numpy(hr)), expected, atol=1e-11)

    spread = lr.repeat(scale, 2).repeat(scale, 3)
    expected = correlate(spread, kernel[None, None], mode="reflect")
    np.testing.assert_allclose(blur.transpose(torch.from_numpy(lr)), expected, atol=1e-11)
