"""What was restored, read again from its files: LR and SR in the same values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from srkit.errors import DataError
from srkit.functional.resizing import resized_side
from srkit.images.formats import Formats
from srkit.images.levels import is_measured
from srkit.interfaces import CalibratedFormat, Image, WindowedFormat
from srkit.upscaling.frames.files import SMALL_FILE, free_memory, needed_memory
from srkit.upscaling.images import describe_source


@dataclass(frozen=True, slots=True)
class Restored:
    """An image and what was made of it.

    Parameters
    ----------
    lr
        As its format reads it, with what its file tells of zero point, pixel scale and unit.
    sr
        In the values of `lr`: of a frame in flux per pixel, flux per area of an LR pixel.
    scale
        SR pixels for each LR pixel along a side.
    """

    lr: Image
    sr: Image
    scale: float

    @property
    def measured(self) -> bool:
        """Whether it is of measured values, floats, and no picture."""
        return is_measured(self.lr)

    @property
    def unit(self) -> str:
        """Unit of the values of `lr`; empty where none is known."""
        return str(self.lr.metadata.get("unit", ""))


def read_known(path: Path, formats: Formats, metadata: Mapping[str, Any]) -> list[Image]:
    """Read the pages of a file, with what it or the user tells of its values.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    reader = formats.of_path(path)
    return [describe_source(page, reader, metadata) for page in formats.read_pages(path)]


def read_restored(
    source: Path,
    target: Path,
    scale_of: Callable[[Image], float],
    formats: Formats,
    metadata: Mapping[str, Any],
) -> list[Restored]:
    """Read a file and what was made of it, page by page.

    Parameters
    ----------
    source, target
        Files of LR and SR.
    scale_of
        SR pixels for each LR pixel along a side, by LR, of whose pixels only the shape matters.
    formats
        What reads them.
    metadata
        What the user says of LR in place of its file, such as ``zero_point``.

    Raises
    ------
    DataError
        If one cannot be read, SR has another size or other channels, or both do not fit into
        memory.
    """
    reader, found = formats.of_path(source), []
    _check_memory(source, reader, scale_of)
    pages = read_known(source, formats, metadata)
    # An output of a format without pages holds the first one.
    for lr, sr in zip(pages, formats.read_pages(target), strict=False):
        scale = scale_of(lr)
        found.append(Restored(lr, _in_values_of(lr, sr, reader, scale, target), scale))
    return found


def _check_memory(source: Path, reader: object, scale_of: Callable[[Image], float]) -> None:
    """Refuse a frame that is too large to be read whole with its SR, before it is read."""
    if not isinstance(reader, WindowedFormat) or source.stat().st_size < SMALL_FILE:
        return
    frame = reader.open_source(source)
    if frame is None:
        return
    outline = frame.outline
    frame.close()
    needed, free = needed_memory(outline.pixels.shape, scale_of(outline)), free_memory()
    if needed > free:
        raise DataError(
            f"{source}: reading it with its SR takes {needed / 2**30:.1f} GiB of memory at once, "
            f"and {free / 2**30:.1f} are free; cut out a part, and check or compare that"
        )


def _in_values_of(lr: Image, sr: Image, reader: object, scale: float, path: Path) -> Image:
    height, width = (resized_side(side, scale) for side in lr.pixels.shape[-2:])
    if sr.pixels.shape[-2:] != (height, width):
        found = "{1} x {0}".format(*sr.pixels.shape[-2:])
        raise DataError(
            f"{path}: has {found} pixels; expected {width} x {height}, {scale:g} times its input; "
            "restore it anew with --overwrite"
        )
    pixels = sr.pixels.float()
    if is_measured(lr) and not is_measured(sr):
        low, high = lr.data_range  # as black and white of the picture stand for
        pixels = low + pixels * (high - low)
    elif isinstance(reader, CalibratedFormat):
        pixels = reader.brightness(lr, pixels, scale)
    return replace(sr, pixels=_with_channels(pixels, len(lr.pixels), path))


def _with_channels(pixels: Tensor, channels: int, path: Path) -> Tensor:
    if channels == 1 and len(pixels) == 3:
        return pixels.mean(0, keepdim=True)  # grey, in a format that only has colours
    if len(pixels) != channels:
        raise DataError(
            f"{path}: has {len(pixels)} channels, its input {channels}; restore it anew with "
            "--overwrite"
        )
    return pixels
