"""Images that differ from those that a network was trained on are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from frames_setup import by_windows
from upscale_setup import Nearest, upscale_file

import srkit
from srkit.images.formats import Formats
from srkit.interfaces import LRStatistics
from srkit.interfaces.quantity import Quantity
from srkit.models.open import Model
from srkit.upscaling.upscaler import ImageUpscaler

#: A training on sky-subtracted images of noise 1, up to 500, at AB 27.
TRAINED = Quantity(
    "count / s", 27.0, 0.1, (0.0, 500.0), LRStatistics(100, (-0.1, 0.3), (0.9, 1.1), (-5.0, 500.0))
)
LEVEL = (
    "its level (median) is {} count / s at AB 27, but -0.1 to 0.3 in the training of the network"
)
NOISE = "its noise is {} count / s at AB 27, but 0.9 to 1.1 in the training of the network"
VALUES = "its values are {} count / s at AB 27, but -5 to 500 in the training of the network"


def _frame(pedestal: float = 0.0, noise: float = 1.0, peak: float = 300.0) -> Any:
    y, x = np.mgrid[:70, :80]
    values = np.random.default_rng(0).normal(pedestal, noise, (70, 80))
    return values + peak * np.exp(-((x - 30.2) ** 2 + (y - 20.7) ** 2) / 18)


@pytest.mark.parametrize(
    ("values", "zero_point", "expected"),
    [
        (_frame(), 27.0, []),
        (_frame() / 10, 24.5, []),  # the same in another unit
        (_frame(pedestal=100), 27.0, [LEVEL.format("100")]),
        (_frame(pedestal=10) / 10, 24.5, [LEVEL.format("10")]),
        (_frame(noise=4), 27.0, [NOISE.format("4")]),
        (_frame(noise=0.2), 27.0, [NOISE.format("0.2")]),
        (_frame(peak=30000), 27.0, [VALUES.format("-3.7 to 2.97e+04")]),
    ],
)
def test_each_difference_is_reported(
    tmp_path: Path, formats: Formats, values: Any, zero_point: float, expected: list[str]
) -> None:
    """Whole frames and those that are restored by windows, in the unit of the training."""
    header = fits.Header({"BUNIT": "adu", "MAGZERO": zero_point})
    fits.PrimaryHDU(values.astype(np.float32), header).writeto(tmp_path / "a.fits")
    upscaler = ImageUpscaler(Model("nearest", Nearest(), 2, 1, quantity=TRAINED))
    notes = upscale_file(tmp_path / "a.fits", tmp_path / "b.fits", upscaler, formats)
    assert len(notes) == len(expected)
    for note, start in zip(notes, expected, strict=True):
        # Measured values agree with those that were drawn to two digits.
        assert _rounded(note).startswith(_rounded(start)), note
    with by_windows():
        again = upscale_file(tmp_path / "a.fits", tmp_path / "c.fits", upscaler, formats)
    assert again == notes


def test_python_warns_of_differences() -> None:
    model = Model("nearest", Nearest(), 2, 1, quantity=TRAINED)
    header = fits.Header({"BUNIT": "adu", "MAGZERO": 27.0})
    frame = fits.PrimaryHDU(_frame(pedestal=100).astype(np.float32), header)
    with pytest.warns(UserWarning, match=r"^its level \(median\) is 100 count / s at AB 27, but"):
        srkit.upscale(frame, model)


def _rounded(text: str) -> str:
    """Round the numbers of a message to one digit."""
    words = []
    for word in text.split():
        try:
            words.append(f"{float(word):.1g}")
        except ValueError:
            words.append(word)
    return " ".join(words)


def test_flagged_pixels_do_not_count(tmp_path: Path, formats: Formats) -> None:
    values, flags = _frame(), np.zeros((70, 80), np.uint8)
    values[50, 50], flags[50, 50] = 1e5, 1
    header = fits.Header({"BUNIT": "adu", "MAGZERO": 27.0})
    hdus = [fits.PrimaryHDU(values.astype(np.float32), header), fits.ImageHDU(flags, name="DQ")]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    upscaler = ImageUpscaler(Model("nearest", Nearest(), 2, 1, quantity=TRAINED))
    (note,) = upscale_file(tmp_path / "a.fits", tmp_path / "b.fits", upscaler, formats)
    assert note.startswith("1 pixel is flagged; interpolated")


def test_a_network_that_adapts_to_each_image_is_not_compared(
    tmp_path: Path, formats: Formats
) -> None:
    class Adapting:
        unitless = True

        def fit(self, lr: Any) -> Any:
            return lr.new_zeros(len(lr), 1)

        def __call__(self, lr: Any, fitted: Any) -> Any:
            return lr

        inverse = __call__

    header = fits.Header({"BUNIT": "adu"})
    fits.PrimaryHDU(_frame(100).astype(np.float32), header).writeto(tmp_path / "a.fits")
    model = Model("nearest", Nearest(), 2, 1, Adapting(), quantity=TRAINED)  # type: ignore[arg-type]
    notes = upscale_file(tmp_path / "a.fits", tmp_path / "b.fits", ImageUpscaler(model), formats)
    assert notes == []
