"""What tifffile logs about a file, which would disturb the progress view, as notes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = logging.getLogger("tifffile")
# Without any handler, messages are printed to standard error.
_LOGGER.addHandler(logging.NullHandler())


class _Collecting(logging.Handler):
    """Collects the messages of one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        # We interpret the tag of GDAL ourselves.
        if record.thread == self._thread and "GDAL_NODATA" not in message:
            self.messages.append(message)


@contextmanager
def logged_notes() -> Iterator[list[str]]:
    """Collect what tifffile logs in this context: the list that is yielded gets one note."""
    handler, notes = _Collecting(), list[str]()
    _LOGGER.addHandler(handler)
    try:
        yield notes
    finally:
        _LOGGER.removeHandler(handler)
        distinct = list(dict.fromkeys(handler.messages))
        more = f" (and {len(distinct) - 1} more)" if len(distinct) > 1 else ""
        notes += [f"not all of it can be read: {distinct[0]}{more}"] if distinct else []
