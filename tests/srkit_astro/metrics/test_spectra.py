from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sources_setup import PIXEL_SCALE, batch, noise
from srkit_astro.metrics.spectra import (
    FourierRingCorrelation,
    PowerSpectrumRatio,
    ring_correlation,
    rings,
)

from srkit.components.options import build

SIDE = 128


def low_pass(image: torch.Tensor, cut: float) -> torch.Tensor:
    """Keep the frequencies up to `cut` cycles per pixel."""
    rows = torch.fft.fftfreq(image.shape[-2])[:, None]
    columns = torch.fft.fftfreq(image.shape[-1])
    kept = torch.fft.fft2(image) * (torch.hypot(rows, columns) <= cut)
    return torch.fft.ifft2(kept).real


def test_rings_agree_with_a_loop() -> None:
    numbers, frequencies = rings((6, 10))
    for row, v in enumerate([0, 1, 2, -3, -2, -1]):
        for column, u in enumerate([0, 1, 2, 3, 4, -5, -4, -3, -2, -1]):
            assert numbers[row, column] == round(10 * math.hypot(u / 10, v / 6))
    assert frequencies.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_factor_enters_as_its_square() -> None:
    hr = noise(2, 3, 64, 48)
    found = PowerSpectrumRatio()(hr * torch.tensor([1.1, 0.5])[:, None, None, None], batch(hr))
    assert found.tolist() == pytest.approx([20 * math.log10(1.1), 20 * math.log10(2)], rel=1e-4)
    assert PowerSpectrumRatio()(hr + 5, batch(hr)).tolist() == pytest.approx([0, 0], abs=1e-4)


def test_independent_noise_of_equal_power_has_a_small_deviation() -> None:
    hr, sr = noise(1, 1, 256, 256), noise(1, 1, 256, 256, seed=1)
    metric = PowerSpectrumRatio(band=(0.2, 1))
    assert metric(sr, batch(hr)).item() < 0.5
    assert metric(2 * sr, batch(hr)).item() == pytest.approx(20 * math.log10(2), abs=0.15)


def test_a_blur_enters_as_the_square_of_its_transfer_function() -> None:
    """The transfer function of a Gaussian blur is ``exp(-2 pi**2 sigma**2 f**2)``."""
    hr = noise(1, 1, SIDE, SIDE)
    rows = torch.fft.fftfreq(SIDE)[:, None]
    transfer = torch.exp(-2 * (math.pi * 0.6) ** 2 * (rows**2 + torch.fft.fftfreq(SIDE) ** 2))
    sr = torch.fft.ifft2(torch.fft.fft2(hr) * transfer).real
    frequencies = np.arange(1, SIDE // 2 + 1) / SIDE
    loss = 20 * math.log10(math.e) * 2 * (math.pi * 0.6 * frequencies) ** 2
    for low, high in ((0.0, 1.0), (0.5, 1.0)):
        kept = (frequencies >= low / 2) & (frequencies <= high / 2)
        found = PowerSpectrumRatio(band=(low, high))(sr, batch(hr)).item()
        assert found == pytest.approx(loss[kept].mean(), rel=0.02)


def test_without_power_the_ratio_is_undefined_or_infinite() -> None:
    hr = noise(1, 1, SIDE, SIDE)
    flat = torch.ones_like(hr)
    assert math.isnan(PowerSpectrumRatio()(hr, batch(flat)).item())
    assert PowerSpectrumRatio()(flat, batch(hr)).item() == math.inf


def test_invalid_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the lower end of the range first"):
        build(PowerSpectrumRatio, {"band": [0.5, 0.5]})
    with pytest.raises(ValueError, match="less than or equal to 1"):
        build(PowerSpectrumRatio, {"band": [0.5, 1.5]})


def test_independent_noise_is_uncorrelated() -> None:
    first, second = noise(2, 256, 256).double().numpy()
    correlation, frequencies = ring_correlation(first, second)
    # The scatter is 1 / sqrt(n) for n independent values; the window correlates about four.
    assert abs(correlation[20:]).mean() < 0.08
    assert abs(correlation[20:].mean()) < 0.02
    assert correlation[0] == 1
    assert len(correlation) == len(frequencies) == 129


@pytest.mark.parametrize("power", [0.25, 1.0, 4.0])
def test_the_correlation_depends_on_the_signal_to_noise_ratio(power: float) -> None:
    """For two images of one signal with independent noise it is ``S / (S + N)``."""
    signal, first, second = noise(3, 256, 256).double().numpy()
    a, b = (math.sqrt(power) * signal + each for each in (first, second))
    correlation, _ = ring_correlation(a, b)
    assert correlation[10:].mean() == pytest.approx(power / (power + 1), abs=0.02)


@pytest.mark.parametrize("cut", [0.1, 0.25, 0.4])
def test_the_resolution_is_the_cut_off_of_the_signal(cut: float) -> None:
    hr = noise(2, 2, SIDE, SIDE)
    other = noise(2, 2, SIDE, SIDE, seed=1)
    sr = low_pass(hr, cut) + other - low_pass(other, cut)
    found = PIXEL_SCALE / FourierRingCorrelation()(sr, batch(hr))
    # Beyond the cut-off, one or two rings may exceed the threshold by chance.
    assert found.tolist() == pytest.approx([cut] * 2, abs=2 / SIDE)


def test_the_resolution_is_at_least_two_pixels() -> None:
    hr = noise(1, 1, 64, 64)
    assert FourierRingCorrelation()(hr, batch(hr)).item() == pytest.approx(2 * PIXEL_SCALE)


def test_the_resolution_of_unrelated_images_exceeds_their_size() -> None:
    hr = noise(1, 1, 64, 64)
    assert FourierRingCorrelation()(-hr, batch(hr)).item() > 64 * PIXEL_SCALE


def test_the_crossing_of_the_threshold_is_interpolated() -> None:
    """Above a frequency, SR has noise with the power of the signal."""
    hr = noise(1, 1, SIDE, SIDE)
    sr = hr + (other := noise(1, 1, SIDE, SIDE, seed=1)) - low_pass(other, 0.2)
    # Only one of the images has noise: S / sqrt(S (S + N)) = 0.71.
    assert FourierRingCorrelation(threshold=0.5)(sr, batch(hr)).item() < 0.25 * PIXEL_SCALE / 0.1
    found = FourierRingCorrelation(threshold=0.9)(sr, batch(hr)).item()
    assert found == pytest.approx(PIXEL_SCALE / 0.2, rel=0.05)


def test_the_resolution_of_constant_images_is_undefined() -> None:
    hr = noise(1, 1, 64, 64)
    flat = torch.zeros_like(hr)
    assert math.isnan(FourierRingCorrelation()(flat, batch(hr)).item())
    assert math.isnan(FourierRingCorrelation()(hr, batch(flat)).item())


def test_the_resolution_needs_the_pixel_scale() -> None:
    hr = noise(1, 1, 64, 64)
    with pytest.raises(ValueError, match=r"^the data set has no pixel scale"):
        FourierRingCorrelation()(hr, batch(hr, pixel_scale=None))
