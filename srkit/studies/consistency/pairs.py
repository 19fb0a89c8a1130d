"""Pairs of LR and SR, read from files in the same values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from srkit.errors import DataError
from srkit.functional.resizing import resized_side
from srkit.images._levels import is_measured
from srkit.images.formats import ImageFile
from srkit.interfaces import CalibratedFormat, Image, WindowedFormat
from srkit.models.open import Model
from srkit.system.resources import free_memory
from srkit.upscaling.frames.files import SMALL_FILE, needed_memory
from srkit.upscaling.images import describe_source
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscalers import AnyUpscaler


@dataclass(frozen=True, slots=True)
class Restored:
    """An image and its SR.

    Parameters
    ----------
    lr
        As its format reads it, with zero point, pixel scale and unit, if its file states them.
    sr
        In the values of `lr`; flux per pixel is converted to flux per area of an LR pixel.
    scale
        SR pixels per LR pixel along a side.
    model
        Restored it.
    """

    lr: Image
    sr: Image
    scale: float
    model: Model

    @property
    def measured(self) -> bool:
        """Whether the values are measured, floats, rather than levels of a picture."""
        return is_measured(self.lr)

    @property
    def unit(self) -> str:
        """Unit of the values of `lr`; empty if it is unknown."""
        return str(self.lr.metadata.get("unit", ""))


def read_known(file: ImageFile, metadata: Mapping[str, Any]) -> list[Image]:
    """Read the pages of a file, with the metadata that it or the user states.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    return [describe_source(page, file.format, metadata) for page in file.read_pages()]


def read_restored(job: Job, upscalers: AnyUpscaler, metadata: Mapping[str, Any]) -> list[Restored]:
    """Read LR and SR of a job, page by page.

    Parameters
    ----------
    job
        The job.
    upscalers
        Restored it.
    metadata
        Metadata that the user states for LR, such as ``zero_point``.

    Raises
    ------
    DataError
        If one cannot be read, SR has another size or other channels, or both do not fit into
        memory.
    """
    _check_memory(job.source, upscalers)
    pages, found = read_known(job.source, metadata), []
    # An output of a format without pages holds the first one.
    for lr, sr in zip(pages, job.target.read_pages(), strict=False):
        upscaler = upscalers.for_image(lr)
        sr = _in_values_of(lr, sr, job, upscaler.scale)
        found.append(Restored(lr, sr, upscaler.scale, upscaler.model))
    return found


def _check_memory(source: ImageFile, upscalers: AnyUpscaler) -> None:
    """Check that a frame and its SR fit into memory, before they are read."""
    if not isinstance(source.format, WindowedFormat) or source.path.stat().st_size < SMALL_FILE:
        return
    frame = source.format.open_source(source.path)
    if frame is None:
        return
    outline = frame.outline
    frame.close()
    scale = upscalers.for_image(outline).scale
    needed, free = needed_memory(outline.pixels.shape, scale), free_memory()
    if needed > free:
        raise DataError(
            f"{source.path}: reading it with its SR needs {needed / 2**30:.1f} GiB of memory, but "
            f"only {free / 2**30:.1f} GiB are free; cut out a part, and check or compare that"
        )


def _in_values_of(lr: Image, sr: Image, job: Job, scale: float) -> Image:
    path, reader = job.target.path, job.source.format
    height, width = (resized_side(side, scale) for side in lr.pixels.shape[-2:])
    if sr.pixels.shape[-2:] != (height, width):
        found = "{1} x {0}".format(*sr.pixels.shape[-2:])
        raise DataError(
            f"{path}: has {found} pixels; expected {width} x {height}, {scale:g} times its input; "
            "restore it again with --overwrite"
        )
    pixels = sr.pixels.float()
    if is_measured(lr) and not is_measured(sr):
        low, high = lr.data_range  # black and white of the picture
        pixels = low + pixels * (high - low)
    elif isinstance(reader, CalibratedFormat):
        pixels = reader.brightness(lr, pixels, scale)
    return replace(sr, pixels=_with_channels(pixels, len(lr.pixels), path))


def _with_channels(pixels: Tensor, channels: int, path: Path) -> Tensor:
    if channels == 1 and len(pixels) == 3:
        return pixels.mean(0, keepdim=True)  # grey, in a format that only has colours
    if len(pixels) != channels:
        raise DataError(
            f"{path}: has {len(pixels)} channels, but its input has {channels}; restore it again "
            "with --overwrite"
        )
    return pixels
