"""Imports of commands that need torch."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Import without garbage collection, and exempt what was imported from it.

    The import of torch creates hundreds of thousands of objects that are never freed; searching
    them for garbage again and again takes about a tenth of the time in which a command starts.
    """
    if "torch" in sys.modules:  # imported already: nothing to gain, and garbage must stay findable
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
