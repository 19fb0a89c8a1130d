"""Frames that are restored in windows, whatever their size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from srkit.images.formats import ImageFile
from srkit.interfaces import Image
from srkit.upscaling.frames import files as frame_files
from srkit.upscaling.frames import statistics
from srkit.upscaling.frames.geometry import Window
from srkit.upscaling.frames.windows import FrameUpscaler, RestoredWindow


@contextmanager
def by_windows() -> Iterator[None]:
    """Restore every frame in windows if its format supports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_files, "LARGE", 0)
        patch.setattr(frame_files, "SMALL_FILE", 0)
        patch.setattr(statistics, "BAND", 1000)
        patch.setattr(ImageFile, "read_pages", None)  # reads a whole image
        yield


def restore_slowly() -> None:
    """Restore every frame in windows, slowly; for processes that end afterwards."""
    frame_files.LARGE = frame_files.SMALL_FILE = 0
    restore = FrameUpscaler.restore

    def slowly(self: FrameUpscaler, window: Window) -> RestoredWindow:
        time.sleep(0.05)
        return restore(self, window)

    FrameUpscaler.restore = slowly  # type: ignore[method-assign]


class Held:
    """An image in memory as a source of rows."""

    def __init__(self, image: Image) -> None:
        self._image = image
        planes = {
            name: image.metadata[name].to("meta")
            for name in ("alpha", "mask")
            if name in image.metadata
        }
        metadata = {**image.metadata, **planes}
        self.outline = Image(image.pixels.to("meta"), metadata=metadata)

    def data_range(self, low: float, high: float) -> tuple[float, float]:
        return self._image.data_range

    def rows(self, start: int, stop: int) -> Image:
        planes = {
            name: self._image.metadata[name][:, start:stop]
            for name in ("alpha", "mask")
            if name in self._image.metadata
        }
        pixels = self._image.pixels[:, start:stop]
        return replace(self._image, pixels=pixels, metadata={**self._image.metadata, **planes})

    def close(self) -> None:
        pass
