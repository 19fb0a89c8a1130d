from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy.stats import sigma_clipped_stats

from srkit.functional._lr_statistics import lr_statistics


def test_level_and_noise_of_frames_with_sources() -> None:
    """Compared with sigma clipping, to which sources do not contribute either."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    source = 400 * np.exp(-((x - 30.0) ** 2 + (y - 33.0) ** 2) / 18)
    frames = np.stack(
        [rng.normal(level, sigma, (1, 64, 64)) + source for level, sigma in ((0, 2), (90, 7))]
    )
    frames[0, 0, 3, 4] = np.nan
    found = lr_statistics(torch.from_numpy(frames))
    expected = [sigma_clipped_stats(frame, mask=np.isnan(frame)) for frame in frames]
    assert found.images == 2
    assert found.level == pytest.approx([each[1] for each in expected], abs=0.5)
    assert found.noise == pytest.approx([each[2] for each in expected], rel=0.06)
    assert found.values == pytest.approx((np.nanmin(frames), np.nanmax(frames)))
