"""Keep what astropy prints from the screen, and what it raises from users."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from astropy import log

from srkit.errors import DataError, SrkitError

_SILENT: ContextVar[bool] = ContextVar("_SILENT", default=False)


def _is_shown(record: logging.LogRecord) -> bool:
    return not _SILENT.get()


log.addFilter(_is_shown)  # astropy writes some of its messages to standard output


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings and the messages of astropy's logger."""
    token = _SILENT.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _SILENT.reset(token)


@contextmanager
def fenced(what: str) -> Iterator[None]:
    """Ignore warnings, and raise the errors of libraries as one of the data.

    Parameters
    ----------
    what
        What failed, such as "the header cannot be used".

    Raises
    ------
    DataError
        If a library raises an error, of which there are many types.
    """
    try:
        with quiet():
            yield
    except (SrkitError, OSError):
        raise
    except Exception as error:  # wcslib raises even a MemoryError for contradictions
        reason = " ".join(str(error).split())
        raise DataError(f"{what} ({type(error).__name__}: {reason})") from error
