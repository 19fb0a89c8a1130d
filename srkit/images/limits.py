"""How large a compressed picture may be: a small file can be made to fill the memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from srkit.errors import DataError

#: Millions of pixels that are decompressed without being asked for.
MEGAPIXELS = 250.0

_allowed: ContextVar[float] = ContextVar("allowed", default=MEGAPIXELS)


@contextmanager
def allow(megapixels: float) -> Iterator[None]:
    """Allow compressed pictures of up to so many millions of pixels, inside of a ``with``.

    Raises
    ------
    ValueError
        If that is not positive.
    """
    if not megapixels > 0:
        raise ValueError(f"the largest input must be positive, got {megapixels:g} megapixels")
    token = _allowed.set(megapixels)
    try:
        yield
    finally:
        _allowed.reset(token)


def allowed_pixels() -> float:
    """Give the number of pixels that a compressed picture may have here."""
    return _allowed.get() * 1e6


def check_pixels(path: Path, height: int, width: int) -> None:
    """Refuse a compressed picture of too many pixels, before they are decompressed.

    Raises
    ------
    DataError
        If it is larger than is allowed.
    """
    if height * width > allowed_pixels():
        needed = height * width / 1e6
        raise DataError(
            f"{path}: would be decompressed to {width} x {height} pixels, and more than "
            f"{_allowed.get():g} megapixels may be meant to fill the memory; if you trust it, "
            f"allow them: --max-input {math.ceil(needed)}"
        )
