"""Pictures, and files that are restored as by `srkit upscale`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from srkit.images.formats import Formats
from srkit.upscaling.files import FileUpscaler
from srkit.upscaling.jobs import Job
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
