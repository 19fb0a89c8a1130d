"""Statistics of frames, compared with those of the whole image."""

from __future__ import annotations

import pytest
import torch
from frames_setup import Held

from srkit.errors import DataError
from srkit.interfaces import Image
from srkit.upscaling.frames import statistics
from srkit.upscaling.frames.statistics import frame_statistics


@pytest.fixture(autouse=True)
def _in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "BAND", 100)


def test_a_frame_with_holes() -> None:
    pixels = torch.randn(2, 31, 17, generator=torch.Generator().manual_seed(0)) + 5
    pixels[0, 3, 4], pixels[1, 30, 0] = torch.nan, -torch.nan
    found = frame_statistics(Held(Image(pixels, (-1.0, 9.0))))
    assert (found.data_range, found.holes, found.opacity) == ((-1.0, 9.0), 2, None)
    assert found.medians is not None
    torch.testing.assert_close(found.medians, pixels.flatten(1).nanmedian(1).values)
    assert found.mean == pytest.approx(float(pixels.double().nanmean()), rel=1e-12)
    assert found.mean_absolute == pytest.approx(float(pixels.double().abs().nanmean()), rel=1e-12)


def test_opacity_and_digest() -> None:
    pixels, alpha = torch.rand(3, 31, 17), torch.linspace(0.25, 0.75, 31 * 17).view(1, 31, 17)
    found = frame_statistics(Held(Image(pixels, metadata={"alpha": alpha})))
    assert (found.opacity, found.medians) == ((0.25, 0.75), None)
    for changed in (pixels + (pixels == pixels.max()), pixels.flip(1)):
        assert (
            frame_statistics(Held(Image(changed, metadata={"alpha": alpha}))).digest != found.digest
        )
    assert (
        frame_statistics(Held(Image(pixels, metadata={"alpha": alpha / 2}))).digest != found.digest
    )


def test_a_frame_without_values() -> None:
    with pytest.raises(DataError) as caught:
        frame_statistics(Held(Image(torch.full((1, 31, 17), torch.inf))))
    assert str(caught.value) == "no pixel has a value: all are NaN or infinite"
