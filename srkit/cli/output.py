"""Printing of results and errors."""

from __future__ import annotations

import atexit
import codecs
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


def _encode_any(error: UnicodeError) -> tuple[bytes, int]:
    """Encode the bytes of a file name that is not UTF-8 as they are, and other text as ``?``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    escaped = (os.fsencode(c) if "\udc80" <= c <= "\udcff" else b"?" for c in characters)
    return b"".join(escaped), error.end


codecs.register_error("srkit", _encode_any)


class LastingOutput(TextIOWrapper):
    """Standard output that accepts any text, also after its reader has ended.

    Long work continues although ``head`` has stopped reading; its results are in files. Windows may
    encode it in cp1252, which has no arrows.

    Parameters
    ----------
    output
        Standard output, whose file this writes to.
    """

    def __init__(self, output: TextIOWrapper) -> None:
        encoding, buffered = output.encoding, output.line_buffering
        super().__init__(output.buffer, encoding, "srkit", line_buffering=buffered)

    def write(self, text: str, /) -> int:
        """Write text, or nothing if nobody reads it."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._discard()
            return len(text)

    def flush(self) -> None:
        """Write what is buffered, or nothing if nobody reads it."""
        try:
            super().flush()
        except BrokenPipeError:
            self._discard()

    def _discard(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Let standard output accept any text, see :class:`LastingOutput`."""
    before = sys.stdout
    if type(before) is not TextIOWrapper:  # as in a notebook
        yield
        return
    output = sys.stdout = LastingOutput(before)
    try:
        yield
    finally:
        sys.stdout = before
        output.flush()
        output.detach()


#: Failures of threads that are not reported yet.
_failed: list[str] = []


def hide_background_tracebacks() -> None:
    """Print one line for a thread that fails, and nothing for an object that cannot be closed.

    On a full disk, for instance, the threads of TensorBoard fail before the error is reported:
    failures of the system are printed at the end, unless there is an error.
    """
    if os.environ.get("SRKIT_TRACEBACK"):
        return
    if threading.excepthook is threading.__excepthook__:  # unless another program, as in a test
        threading.excepthook = _report_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda unraisable: None


def _report_thread(failure: threading.ExceptHookArgs) -> None:
    reason = " ".join(str(failure.exc_value).split()) or failure.exc_type.__name__
    line = f"warning: a background thread failed ({reason})\n"
    if not issubclass(failure.exc_type, OSError):
        sys.stderr.write(line)
        return
    if not _failed:
        atexit.register(_report_failed)
    _failed.append(line)


def _report_failed() -> None:
    sys.stderr.write("".join(_failed))
    _failed.clear()


def new_console(*, stderr: bool = False) -> Console:
    """Create the console for tables and progress.

    Parameters
    ----------
    stderr
        Print to standard error, since standard output is for the result.
    """
    from srkit.system import progress

    return progress.new_console(stderr=stderr)


def confirm(question: str, command: str, refused: str) -> None:
    """Ask the user, and end the command if the answer is no.

    Raises
    ------
    SrkitError
        If there is no terminal.
    """
    import typer

    from srkit.errors import SrkitError

    try:
        agreed = typer.confirm(question)
    except typer.Abort:
        raise SrkitError(
            f"{command}: cannot ask for confirmation without a terminal; rerun with --yes"
        ) from None
    if not agreed:
        fail(refused)


def print_json(tree: object) -> None:
    """Print plain data for other programs."""
    import json

    print(json.dumps(tree, indent=2))


def fail(message: str) -> NoReturn:
    """Print an error and exit with status 1."""
    _failed.clear()
    # One write, newline included, so that lines of several processes do not mix.
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(1)
