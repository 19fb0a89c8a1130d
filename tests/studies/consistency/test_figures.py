"""Figures of residuals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from srkit.interfaces import Image
from srkit.studies.consistency.figures import LARGEST, residual_figure
from srkit.studies.consistency.forward_model import ForwardModel
from srkit.studies.consistency.measure import Check, check

SAME = ForwardModel(lambda sr, size: sr, "as it is", "")


def _check(residual: Tensor, **metadata: Any) -> Check:
    """Check SR at scale 1 that is zero."""
    lr = Image(residual, (0.0, 1.0), {"bits": 8, **metadata})
    return check(lr, Image(torch.zeros_like(residual), (0.0, 1.0), {}), SAME)


def test_values_boxes_and_colour_bar() -> None:
    residual = torch.zeros(3, 20, 30)
    residual[1, 4, 5], residual[2, 4, 5], residual[0, 15, 20] = -20 / 255, 10 / 255, 30 / 255
    figure, dpi = residual_figure(_check(residual), "a.png")
    image, bar = figure.axes
    shown = image.images[0].get_array()
    assert (shown[4, 5], shown[15, 20]) == (pytest.approx(-20), pytest.approx(30))
    assert np.count_nonzero(shown) == 2
    assert image.images[0].get_clim() == (pytest.approx(-30), pytest.approx(30))
    places = {(frame.get_x(), frame.get_y()) for frame in image.patches}
    assert places == {(18.5, 13.5), (3.5, 2.5)}
    assert bar.get_ylabel() == "input − SR degraded, in levels of 255"
    assert dpi >= 120


def test_frames_are_shown_in_units_of_the_noise() -> None:
    residual = torch.zeros(1, 8, 8)
    residual[0, 2, 3] = 12
    figure, _ = residual_figure(_check(residual, variance=torch.full((1, 8, 8), 4.0)), "a.fits")
    image, bar = figure.axes
    assert image.images[0].get_array()[2, 3] == 6
    assert image.images[0].get_clim() == (-10, 10)  # twice the threshold
    assert bar.get_ylabel() == "input − SR degraded, in noise (σ)"


def test_a_large_image_shows_the_strongest_of_each_block() -> None:
    residual = torch.zeros(1, 3, 2 * LARGEST + 1)
    residual[0, 2, 7] = -0.5
    figure, _ = residual_figure(_check(residual), "a.png")
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (1, LARGEST * 2 // 3 + 1)
    assert shown[0, 2] == pytest.approx(-127.5)
