from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import generic_filter
from srkit_astro.files.masked_images import MaskedImage, fill_bad_pixels


def test_filling_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(30, 30)).astype(np.float32)
    bad = np.zeros_like(values, bool)
    bad[3::7, 4::6] = True
    holes = np.where(bad, np.nan, values)
    image = MaskedImage(Path("a"), torch.from_numpy(holes)[None], torch.from_numpy(bad)[None])
    found = fill_bad_pixels(image)
    expected = generic_filter(holes, np.nanmedian, 3, mode="constant", cval=np.nan)
    np.testing.assert_allclose(found[0].numpy()[bad], expected[bad], rtol=1e-6)
    np.testing.assert_array_equal(found[0].numpy()[~bad], values[~bad])
