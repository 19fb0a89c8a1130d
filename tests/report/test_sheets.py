from __future__ import annotations

import numpy as np
import torch

from srkit.interfaces import Sample
from srkit.report.plotting import png
from srkit.report.sheets import pair_sheet


def pair(channels: int, unit: str = "") -> Sample:
    hr = torch.rand(channels, 12, 16, generator=torch.Generator().manual_seed(channels))
    lr = torch.nn.functional.avg_pool2d(hr, 2)
    return Sample("night/one", hr, lr, unit=unit, pixel_scale=0.1)


def test_one_channel_has_a_colour_bar_with_its_unit() -> None:
    figure = pair_sheet([pair(1, "count / s")] * 4)
    parts = figure.subfigs
    assert len(parts) == 6  # two rows of three, the last of them with one pair
    lr, hr, bar = parts[0].axes
    assert (lr.get_title(), hr.get_title()) == ("LR 8×6", "HR 16×12")
    assert lr.images[0].norm is hr.images[0].norm
    np.testing.assert_array_equal(hr.images[0].get_array(), pair(1).hr[0].numpy())
    assert bar.get_ylabel() == "count / s"
    assert lr.images[0].norm(bar.get_yticks()).min() >= 0
    assert [text.get_text() for text in hr.texts] == ["0.5″"]
    assert not lr.texts
    assert png(figure).startswith(b"\x89PNG")


def test_three_channels_are_a_photograph() -> None:
    (part,) = pair_sheet([pair(3)]).subfigs
    assert len(part.axes) == 2
    assert part.axes[1].images[0].get_array().shape == (12, 16, 3)
