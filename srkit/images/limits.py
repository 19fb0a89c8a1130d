"""Limit the size of compressed images, since a small file can be made to fill the memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from srkit.errors import DataError

#: Millions of pixels that are decompressed by default.
MEGAPIXELS = 250.0

_allowed: ContextVar[float] = ContextVar("allowed", default=MEGAPIXELS)


@contextmanager
def allow(megapixels: float) -> Iterator[None]:
    """Set the limit for compressed images, in millions of pixels, within a context.

    Raises
    ------
    ValueError
        If the limit is not positive.
    """
    if not megapixels > 0:
        raise ValueError(f"the largest input must be positive, got {megapixels:g} megapixels")
    token = _allowed.set(megapixels)
    try:
        yield
    finally:
        _allowed.reset(token)


def allowed_pixels() -> float:
    """Return the number of pixels that a compressed image may have in this context."""
    return _allowed.get() * 1e6


def check_pixels(path: Path, height: int, width: int) -> None:
    """Check the size of a compressed image before it is decompressed.

    Raises
    ------
    DataError
        If it has more pixels than are allowed.
    """
    if height * width > allowed_pixels():
        needed = height * width / 1e6
        raise DataError(
            f"{path}: would decompress to {width} x {height} pixels, more than {_allowed.get():g} "
            "megapixels, which could exhaust the memory; if you trust it, add --max-input "
            f"{math.ceil(needed)}"
        )
