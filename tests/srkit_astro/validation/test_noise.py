from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from srkit_astro.validation.noise import COLOURS, Colour, draw_noise

from srkit.functional import measure_noise


@pytest.mark.parametrize("colour", COLOURS)
def test_drawn_noise_is_that_of_the_frame(colour: Colour) -> None:
    rng = np.random.default_rng(0)
    frame = 3 * ndimage.uniform_filter(rng.normal(size=(256, 256)), 2)
    noise = measure_noise(frame)
    drawn = draw_noise(noise, colour, (200, 240), rng)
    assert drawn.shape == (200, 240)
    assert drawn.std() == pytest.approx(1.5, rel=0.04)
    # Means of 2 x 2 pixels correlate those that share a row or a column.
    expected = 0.5 if colour == "correlated" else 0.0
    neighbours = (drawn[:, 1:] * drawn[:, :-1]).mean() / drawn.var()
    assert neighbours == pytest.approx(expected, abs=0.04)
