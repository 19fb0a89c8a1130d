"""Pictures, and files restored as `srkit upscale` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from torch import Tensor, nn

from srkit.images.formats import Formats
from srkit.models.open import Model
from srkit.upscaling.files import FileUpscaler
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscaler import ImageUpscaler
from srkit.upscaling.upscalers import AnyUpscaler


class FailedError(Exception):
    """A file could not be restored; the message is that for the user."""


def upscale_file(
    source: Path,
    target: Path,
    upscaler: AnyUpscaler,
    formats: Formats,
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
    **metadata: Any,
) -> list[str]:
    """Restore a file, and return the messages for the user."""

    def report_pixels(what: str, done: int, total: int | None) -> None:
        if total is not None:
            report(done, total)

    jobs = [Job.of(source, target, formats)]
    (result,) = FileUpscaler(upscaler, metadata=metadata).results(jobs, report_pixels)
    if result.failure:
        raise FailedError(result.failure)
    return list(result.notes)


def save_picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (12, 9)) -> Path:
    """Save a picture of random levels; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    channels = len(PIL.Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    PIL.Image.fromarray(values.squeeze(-1) if channels == 1 else values).save(path)
    return path


class Nearest(nn.Module):
    """Repeats pixels, so that its output is known."""

    channels_last = False

    def forward(self, lr: Tensor) -> Tensor:
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


def nearest_upscaler(channels: int | None = 1, **options: Any) -> ImageUpscaler:
    """Return an upscaler that repeats pixels."""
    return ImageUpscaler(Model("nearest", Nearest(), 2, channels), **options)


def twice(pixels: Tensor) -> Tensor:
    """Repeat pixels in both directions."""
    return pixels.repeat_interleave(2, -1).repeat_interleave(2, -2)
