"""What the check of image formats finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from srkit_photos.formats.numpy_files import Npy

from srkit.interfaces import Image
from srkit.testing import check_image_format


def test_a_format_with_a_part_of_an_optional_protocol(tmp_path: Path) -> None:
    class HalfCalibrated(Npy):
        def calibrate(self, image: Image) -> Image:
            return image

    check_image_format(Npy(), tmp_path)
    with pytest.raises(AssertionError) as caught:
        check_image_format(HalfCalibrated(), tmp_path)
    assert str(caught.value) == (
        "HalfCalibrated lacks 'brightness', see srkit.interfaces.CalibratedFormat"
    )
