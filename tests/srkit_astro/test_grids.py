from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sources_setup import batch
from srkit_astro.grids import lr_of, pixel_scale_of


def test_lr_is_required_and_must_be_subdivided_by_hr() -> None:
    whole = batch(torch.zeros(1, 1, 8, 12))
    assert lr_of(whole)[1] == 2
    with pytest.raises(
        ValueError, match=r"^there is no LR; set a degradation, or use a data set of pairs$"
    ):
        lr_of(replace(whole, lr=None))
    message = (
        r"^HR of 8 x 12 pixels does not subdivide LR of 4 x 5 pixels; expected sides that are an "
        r"integer times those of LR$"
    )
    with pytest.raises(ValueError, match=message):
        lr_of(replace(whole, lr=torch.zeros(1, 1, 4, 5)))


def test_the_pixel_scale_is_required() -> None:
    assert pixel_scale_of(batch(torch.zeros(1, 1, 2, 2))) == 0.05
    message = (
        r"^the data set has no pixel scale, which PSFs and metrics in arcsec need; set it in the "
        r"data set, or remove them$"
    )
    with pytest.raises(ValueError, match=message):
        pixel_scale_of(batch(torch.zeros(1, 1, 2, 2), pixel_scale=None))
