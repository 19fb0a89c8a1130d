"""One file restored, as `srkit upscale` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from srkit.images.formats import Formats
from srkit.upscaling.files import Given, Job, attempts
from srkit.upscaling.sizing import Sized


class FailedError(Exception):
    """A file could not be restored: what the user reads of it."""


def upscale_file(
    job: Job,
    upscaler: Sized,
    formats: Formats,
    metadata: Mapping[str, Any],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Restore a file, and give what is told of it."""

    def tell(what: str, done: int, total: int | None) -> None:
        if total is not None:
            report(done, total)

    (found,) = attempts([job], Given(upscaler, formats, metadata=metadata), tell)
    if found.failure:
        raise FailedError(found.failure)
    return list(found.notes)
