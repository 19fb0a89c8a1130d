"""The page of a data check: thumbnails of pictures and of measured values."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from srkit.dataprep.check.issues import DataCheck, ImageId, Issue
from srkit.dataprep.check.measurements import Measurements
from srkit.dataprep.check.report import _thumbnail, write_check
from srkit.dataprep.check.sources import DatasetImages
from srkit.interfaces import Sample


class Stars:
    """A faint and a bright star on noise, in the first and the last row; or a picture."""

    channels, classes = 1, None

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        noise = torch.rand((1, 40, 40), generator=torch.Generator().manual_seed(index))
        noise[0, 0, 5], noise[0, -1, 5], noise[0, 20, 20] = 20.0, 1000.0, torch.nan
        return Sample(f"s{index}", noise, unit=self.unit, data_range=(0.0, 1000.0))


def levels(unit: str) -> np.ndarray:
    check = DataCheck("set", {"train": DatasetImages(Stars(unit), 1)})
    uri = _thumbnail(check, ImageId("train", 0))
    return np.array(PIL.Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_measured_values_are_shown_by_asinh_with_the_first_row_at_the_bottom() -> None:
    frame, picture = levels("count / s"), levels("")
    assert frame[0, 5] == 255 and 80 < frame[-1, 5] < 160 and frame[19, 20] == 0
    assert frame[1:-1].mean() > 5
    assert picture[-1, 5] == 255 and picture[0, 5] == 5  # linear, the first row at the top


def test_each_group_has_its_line(tmp_path: Path) -> None:
    check = DataCheck("set", {"train": DatasetImages(Stars("Jy"), 1)})
    check.measured["train"] = [Measurements(f"s{i}", (40, 40), 1) for i in range(2)]
    pair, line = [ImageId("train", 0), ImageId("train", 1)], "share 5 % of the area"
    check.issues.append(Issue("overlap", True, "text", [pair], [line]))
    page = write_check(check, tmp_path).read_text("utf-8")
    assert f'<p class="soft">{line}</p>' in page
